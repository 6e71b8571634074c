"""A server with something of everything on it, as in real life."""

import time
from pathlib import Path
from typing import Any

import httpx

LONG = "Quarterly-reports-of-the-northern-subsidiaries-and-partners-2019-2026"
NOTES = {
    "handbook/pumps.md": "# Pumps\n\nThe bearings of the main pump are changed every"
    " 4,000 hours. Use grease of class NLGI 2, and note the hours in the log book.\n\n"
    "Before the housing is opened the inlet valve is closed and locked.",
    "handbook/boilers.md": "# Boilers\n\nThe boiler is descaled each spring. The safety"
    " valve opens at 6 bar and is tested twice a year by the inspector.",
    "minutes/2026-03-04.md": "# Minutes\n\nAgreed: Ines orders bearings for the pump"
    " in hall 3. The boiler inspection moves to April.",
    "minutes/2026-04-01.md": "# Minutes\n\nThe bearings arrived; the pump in hall 3 is"
    " serviced in May, when production stands still anyway.",
    "plan.txt": "Hall 3: new lights in summer. Hall 4: paint the floor.",
}
DEADLINE = 300


def write_notes(folder: Path) -> Path:
    """Write real files of two folders."""
    for name, text in NOTES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


class Stage:
    """What is on the server, and the addresses of its pages."""

    def __init__(self, client: httpx.Client, folder: Path) -> None:
        self._client = client
        self._folder = folder
        self.pages: dict[str, str] = {}

    def _post(self, path: str, **body: Any) -> Any:
        response = self._client.post(path, json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def connect(self, collection: str, short_name: str, **more: Any) -> tuple[str, str]:
        """Return a new connection and its first job."""
        made = self._post(
            "/source-connections",
            short_name=short_name,
            readable_collection_id=collection,
            **more,
        )
        return made["id"], made["sync"]["last_job"]["id"]

    def wait(self, connection: str, job: str) -> str:
        path = f"/source-connections/{connection}/jobs/{job}"
        deadline = time.monotonic() + DEADLINE
        while (status := self._client.get(path).json()["status"]) in (
            *("pending", "running", "cancelling"),
        ):
            assert time.monotonic() < deadline, f"the job is still {status}"
            time.sleep(0.2)
        return str(status)

    def run(self, connection: str) -> str:
        return str(self._post(f"/source-connections/{connection}/run")["id"])

    def fill(self) -> None:
        """Make collections, connections in every state, and a job that goes on."""
        notes = self._post("/collections", name="Maintenance handbook")["readable_id"]
        self._post("/collections", name="Nothing in here yet")
        large = self._post("/collections", name=LONG[:64])["readable_id"]
        files, first = self.connect(
            notes,
            "file_system",
            name="Handbook and minutes",
            description="Shared drive of the maintenance team",
            config={"path": str(write_notes(self._folder))},
        )
        self.wait(files, first)
        self._failing(large)
        broken, last = self._with_failures(large)
        self._many_jobs(notes)
        slow, cancelled = self._timed(large, "Cancelled and taken back", 300, 600)
        running_id, running = self._timed(large, LONG[:42], 2_000, 600)
        self._client.post(f"/source-connections/{slow}/jobs/{cancelled}/cancel")
        self.wait(slow, cancelled)
        self._pages(notes, (files, first), (broken, last), (running_id, running))
        self.pages["job cancelled"] = f"/jobs/{cancelled}"

    def _timed(
        self, collection: str, name: str, count: int, seconds: float
    ) -> tuple[str, str]:
        return self.connect(
            collection,
            "timed",
            name=name,
            config={"entity_count": count, "duration_seconds": seconds},
            authentication={"credentials": {"timed_key": "any"}},
        )

    def _failing(self, collection: str) -> None:
        for name, kind in (
            ("Refused credentials", "credentials_invalid"),
            ("A folder that is gone", "config_invalid"),
        ):
            made = self.connect(
                collection,
                "exception_stub",
                name=name,
                config={
                    "exception_type": kind,
                    "entity_count": 5,
                    "trigger_after": 2,
                },
                authentication={"credentials": {"stub_key": "stub"}},
            )
            self.wait(*made)

    def _with_failures(self, collection: str) -> tuple[str, str]:
        made = self.connect(
            collection,
            "exception_stub",
            name="Some files are broken",
            config={
                "exception_type": "entity_corrupt",
                "entity_count": 40,
                "trigger_after": 3,
            },
            authentication={"credentials": {"stub_key": "stub"}},
        )
        self.wait(*made)
        return made

    def _many_jobs(self, collection: str) -> None:
        connection, job = self.connect(
            collection,
            "stub",
            name="Tickets",
            config={"entity_count": 30},
            authentication={"credentials": {"stub_key": "stub"}},
        )
        self.wait(connection, job)
        for _ in range(5):
            self.wait(connection, self.run(connection))
        self.pages["connection jobs"] = f"/connections/{connection}/jobs"
        self.pages["connection"] = f"/connections/{connection}"

    def _pages(
        self,
        collection: str,
        files: tuple[str, str],
        broken: tuple[str, str],
        running: tuple[str, str],
    ) -> None:
        message = self._client.get("/webhooks/messages").json()[0]["id"]
        key = self._client.get("/api-keys").json()[0]["id"]
        found = f"/collections/{collection}?q=when+are+the+bearings+changed"
        self.pages |= {
            "home": "",
            "collections": "/collections",
            "collection": f"/collections/{collection}",
            "collection search": found,
            "collection filters": f"{found}&name=pumps&tier=classic&limit=25",
            "collection new": "/collections/new",
            "collection delete": f"/collections/{collection}/delete",
            "connections": "/connections",
            "connections attention": "/connections?state=attention",
            "connection files": f"/connections/{files[0]}",
            "connection broken": f"/connections/{broken[0]}",
            "connection edit": f"/connections/{files[0]}/edit",
            "connection credentials": f"/connections/{broken[0]}/credentials",
            "connection schedule": f"/connections/{files[0]}/schedule",
            "connection delete": f"/connections/{files[0]}/delete",
            "connection failures": f"/connections/{broken[0]}/failures",
            "connection new": f"/connections/new/file_system?collection={collection}",
            "connection new database": "/connections/new/postgresql",
            "jobs": "/jobs",
            "job running": f"/jobs/{running[1]}",
            "job ended": f"/jobs/{files[1]}",
            "job failures": f"/jobs/{broken[1]}",
            "job cancel": f"/jobs/{running[1]}/cancel",
            "sources": "/sources",
            "webhooks": "/webhooks",
            "webhook new": "/webhooks/new",
            "webhook message": f"/webhooks/messages/{message}",
            "keys": "/keys",
            "key revoke": f"/keys/{key}/revoke",
            "audit": "/audit",
            "system": "/system?check=all",
            "not there": "/nowhere",
            "no such connection": "/connections/00000000-0000-0000-0000-000000000000",
        }

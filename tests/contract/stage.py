"""A populated application for a test client that lives in another thread.

Everything is opened when the client starts the application, in the client's event loop.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from wellhead.api.application import create_app
from wellhead.app.settings import Settings
from wellhead.app.wiring import open_parts
from wellhead.services import keys
from wellhead.services.parts import Parts
from wellhead.sync.convert.converter import Converter
from wellhead.worker.lease import LeaseKeeper
from wellhead.worker.run_job import Desk, run_job

STUB = {"short_name": "stub", "authentication": {"credentials": {"stub_key": "stub"}}}
FAILING = {
    "short_name": "exception_stub",
    "config": {"entity_count": 4, "exception_type": "entity_corrupt"},
}


@dataclass
class Stage:
    """An ASGI application that makes itself at startup and fills itself."""

    database_url: str
    folder: Path
    key: str = ""
    session_token: str = ""
    known: dict[str, list[str]] = field(default_factory=dict)
    """Values of parameters that exist, by name; the last are there to be deleted."""
    _app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            assert self._app is not None
            await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self._opened():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        settings = Settings(
            data_dir=self.folder,
            embedder="null",
            enable_demo_sources=True,
            webhooks_verify_endpoints=False,  # nothing is to leave this machine
        )
        async with open_parts(settings, self.database_url) as parts:
            self._app = create_app(parts, auth=True)
            self.key = await keys.ensure_first_key(parts) or ""
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(
                transport=transport,
                base_url="http://wellhead",
                headers={"x-api-key": self.key},
            ) as client:
                await self._fill(client, parts)
            yield

    async def _fill(self, client: httpx.AsyncClient, parts: Parts) -> None:
        async def post(path: str, body: Any = None) -> Any:
            answer = await client.post(path, json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()

        async with _desk(parts, self.database_url) as desk:
            for name in ("first", "second", "third"):
                await post("/collections", {"name": f"The {name}", "readable_id": name})
                for source in (STUB, FAILING):
                    body = {**source, "readable_collection_id": name}
                    one = await post("/source-connections", body)
                    self._know("source_connection_id", one["id"])
                    job = one["sync"]["last_job"]["id"]
                    self._know("job_id", job)
                    await run_job(desk, UUID(job))
                self._know("readable_id", name)
                made = await post("/api-keys", {"name": name})
                self._know("key_id", made["id"])
                hook = {"url": f"https://{name}.test", "event_types": ["sync.failed"]}
                subscribed = await post("/webhooks/subscriptions", hook)
                self._know("subscription_id", subscribed["id"])
            await self._leave_things_to_do(post, client)
        self.known["short_name"] = ["stub", "timed"]
        self.known["sync_id"] = self.known["source_connection_id"]

    async def _leave_things_to_do(self, post: Any, client: httpx.AsyncClient) -> None:
        """A job to cancel, and what only now is known."""
        first = self.known["source_connection_id"][0]
        waiting = await post(f"/source-connections/{first}/run")
        self.known["job_id"].insert(0, waiting["id"])
        await self._open_session(post)
        for message in (await client.get("/webhooks/messages")).json():
            self._know("message_id", message["id"])
        for one in (await client.get("/organizations")).json():
            self._know("organization_id", one["id"])

    async def _open_session(self, post: Any) -> None:
        session = await post("/connect/sessions", {"readable_collection_id": "first"})
        self.session_token = session["session_token"]
        self._know("session_id", session["session_id"])
        for _ in range(2):
            body = {**STUB, "readable_collection_id": "first"}
            self._know("connection_id", (await post("/source-connections", body))["id"])

    def _know(self, name: str, value: str) -> None:
        self.known.setdefault(name, []).append(value)


@asynccontextmanager
async def _desk(parts: Parts, database_url: str) -> AsyncIterator[Desk]:
    converter = Converter()
    leases = LeaseKeeper(database_url)
    leases.start()
    try:
        yield Desk(parts, converter, leases)
    finally:
        leases.close()
        await converter.close()

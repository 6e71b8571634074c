"""What the chaos tests are made of: a changing folder, a reader, and a killer.

The folder knows what every search must show, whatever is killed meanwhile; the reader
searches all the time and holds each answer against it.
"""

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

PATIENCE_SECONDS = 180
MOST_RESULTS = 1_000
FOLDER_FILES = 100
LINE = re.compile(r"(k\d{5}) revision (\d+) line (\d+) of (\d+)")


def text_of(key: str, revision: int) -> str:
    """Return one to three passages, every line of which tells whose it is."""
    lines = 1 + (revision * 7 + int(key[1:])) % 20
    return "".join(
        f"{key} revision {revision} line {number} of {lines}, and nothing else to say\n"
        for number in range(1, lines + 1)
    )


@dataclass(frozen=True, slots=True)
class Moment:
    """The folder before a job: revisions, and how often files came or went."""

    revisions: Mapping[str, int]
    lives: Mapping[str, int]


class World:
    """A folder of small files. The revision of a key only grows, deleted or not."""

    def __init__(self, root: Path, chance: random.Random, entities: int) -> None:
        self.root, self.aside, self.chance = root / "source", root / "aside", chance
        self.revisions: dict[str, int] = {}
        self.present: set[str] = set()
        self.lives: Counter[str] = Counter()
        self.certain: dict[str, int] = {}
        """The revision that every search shows at least; 0 for what none may show."""
        self.aside.mkdir(parents=True)
        keys = [f"k{number:05}" for number in range(entities)]
        for key in keys:
            self.folder(key).mkdir(parents=True, exist_ok=True)
            self.write(key)
        # three tenths never change, a tenth comes and goes, all others change
        self.moving = [key for key in keys if "3" <= key[-1] <= "8"]
        self.coming = [key for key in keys if key[-1] == "9"]

    def folder(self, key: str) -> Path:
        return self.root / f"f{int(key[1:]) // FOLDER_FILES:02}"

    def file(self, key: str) -> Path:
        return self.folder(key) / f"{key}.txt"

    def write(self, key: str) -> None:
        """Replace a file in one step: nobody reads half of it."""
        if key not in self.present:
            self.certain.pop(key, None)
            self.lives[key] += 1
            self.present.add(key)
        self.revisions[key] = self.revisions.get(key, 0) + 1
        unfinished = self.aside / key
        unfinished.write_text(text_of(key, self.revisions[key]))
        unfinished.replace(self.file(key))

    def remove(self, key: str) -> None:
        self.certain.pop(key, None)
        self.lives[key] += 1
        self.present.discard(key)
        self.file(key).unlink()

    def change(self, *, only_updates: bool) -> None:
        """Change one file."""
        if only_updates or self.chance.random() < 0.8:
            self.write(self.chance.choice(self.moving))
            return
        self.toggle(self.chance.choice(self.coming))

    def stir(self) -> None:
        """Let many files come and go at once."""
        for key in self.chance.sample(self.coming, 20):
            self.toggle(key)

    def toggle(self, key: str) -> None:
        (self.remove if key in self.present else self.write)(key)

    def moment(self) -> Moment:
        shown = {
            key: revision if key in self.present else 0
            for key, revision in self.revisions.items()
        }
        return Moment(shown, dict(self.lives))

    def settle(self, before: Moment, *, but: Collection[str]) -> None:
        """A job that began after that moment has completed: it saw all of it."""
        for key, revision in before.revisions.items():
            if self.lives[key] == before.lives[key] and key not in but:
                self.certain[key] = max(self.certain.get(key, 0), revision)

    def contents(self) -> dict[str, int]:
        return {key: self.revisions[key] for key in self.present}

    def modified(self, key: str) -> str:
        seconds = self.file(key).stat().st_mtime
        return datetime.fromtimestamp(seconds, UTC).isoformat()


@dataclass(frozen=True, slots=True)
class Shown:
    """One entity as an answer shows it."""

    revision: int
    modified: str


def read_answer(hits: Iterable[dict[str, Any]]) -> dict[str, Shown]:
    """Return the entities of an answer: each once, whole, and in one version."""
    chunks: Counter[str] = Counter()
    lines: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    modified: dict[str, str] = {}
    for hit in hits:
        chunks[hit["entity_id"]] += 1
        path = hit["airweave_system_metadata"]["original_entity_id"]
        for key, revision, number, of in LINE.findall(hit["textual_representation"]):
            assert path.endswith(f"/{key}.txt"), f"{key} in {path}"
            lines[key].append((int(revision), int(of), int(number)))
            modified[key] = hit["raw_source_fields"]["modified"]
    twice = [chunk for chunk, count in chunks.items() if count > 1]
    assert not twice, f"shown twice: {twice}"
    for key, found in lines.items():
        assert len({one[:2] for one in found}) == 1, f"two versions of {key}: {found}"
        whole = list(range(1, found[0][1] + 1))
        assert sorted(number for *_, number in found) == whole, f"half of {key}"
    return {key: Shown(found[0][0], modified[key]) for key, found in lines.items()}


class Client:
    """Asks until the server answers; it is killed all the time."""

    def __init__(self, program: Any) -> None:
        key = (program.data_dir / "api_key").read_text().strip()
        self._http = httpx.AsyncClient(
            base_url=program.served["url"], headers={"x-api-key": key}, timeout=30
        )

    async def ask(
        self, method: str, path: str, *also: int, **more: Any
    ) -> httpx.Response:
        """Return an answer of 200, or one that is allowed `also`."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            with suppress(httpx.TransportError):
                answer = await self._http.request(method, path, **more)
                if answer.status_code in (200, *also):
                    return answer
                said = f"{method} {path}: {answer.status_code} {answer.text}"
                assert answer.status_code == 503, said
            assert time.monotonic() < deadline, f"no answer to {method} {path}"
            await asyncio.sleep(0.2)

    async def close(self) -> None:
        await self._http.aclose()


class Reader:
    """Searches a collection, and finds no fault with any answer."""

    def __init__(self, client: Client, world: World, collection: str) -> None:
        self._client, self._world = client, world
        self._path = f"/collections/{collection}/search/instant"
        self._newest: dict[str, int] = {}
        self._folders = sorted({world.folder(key).name for key in world.revisions})
        self.searches = 0

    async def watch(self) -> None:
        while True:
            await self.search(self._world.chance.choice(self._folders))
            await asyncio.sleep(0.02)

    async def scan(self) -> dict[str, Shown]:
        """Return everything that can be found."""
        found: dict[str, Shown] = {}
        for folder in self._folders:
            found |= await self.search(folder)
        return found

    async def search(self, folder: str) -> dict[str, Shown]:
        """Ask for everything in a folder, in one of three ways."""
        world = self._world
        certain, lives = dict(world.certain), dict(world.lives)
        answer = await self._client.ask(
            "POST",
            self._path,
            json={
                "query": "revision",
                "retrieval_strategy": world.chance.choice(
                    ["semantic", "keyword", "hybrid"]
                ),
                "filter": [
                    {
                        "conditions": [
                            {
                                "field": "breadcrumbs.name",
                                "operator": "equals",
                                "value": folder,
                            }
                        ]
                    }
                ],
                "limit": MOST_RESULTS,
            },
        )
        hits = answer.json()["results"]
        assert len(hits) < MOST_RESULTS, "this may not be everything"
        found = read_answer(hits)
        for key, least in certain.items():
            if world.folder(key).name == folder and world.lives[key] == lives[key]:
                self._judge(key, least, found.get(key))
        for key, shown in found.items():
            newest = self._newest.get(key, 0)
            assert newest <= shown.revision, f"{key} went back from {newest}: {shown}"
            assert shown.revision <= world.revisions[key], f"{key}: {shown}"
            self._newest[key] = shown.revision
        self.searches += 1
        return found

    def _judge(self, key: str, least: int, shown: Shown | None) -> None:
        if least == 0:
            assert shown is None, f"{key} is deleted, and found: {shown}"
            return
        assert shown is not None, f"{key} is committed, and not found"
        assert shown.revision >= least, f"{key} was committed as {least}: {shown}"


@dataclass
class Crew:
    """Workers beside the server's own, started again when they end, as by systemd."""

    program: Any
    size: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def keep(self) -> None:
        """Start what is missing."""
        self.processes = [one for one in self.processes if one.poll() is None]
        while len(self.processes) < self.size:
            with (self.program.data_dir / "stderr").open("a") as stderr:
                started = subprocess.Popen(
                    [sys.executable, "-m", "wellhead.app.cli", "worker"],
                    stdin=subprocess.DEVNULL,
                    stdout=stderr,
                    stderr=stderr,
                    env=self.program.environment,
                )
            self.processes.append(started)
            self.program.servers.append(started)

    def dismiss(self) -> list[int]:
        """Ask all to leave; returns how each of them did."""
        for one in self.processes:
            one.terminate()
        return [one.wait(60) for one in self.processes]


class Killer:
    """Kills and pauses workers, the API and PostgreSQL at random."""

    def __init__(self, program: Any, chance: random.Random, crew: Crew) -> None:
        self._program, self._chance, self._crew = program, chance, crew
        self._paused: set[int] = set()
        self.kills: Counter[str] = Counter()
        self.pauses: Counter[str] = Counter()

    async def rage(self, end: float) -> None:
        """Go on until the end, by the monotonic clock."""
        while time.monotonic() < end:
            await asyncio.sleep(self._chance.uniform(0.3, 2.5))
            self._crew.keep()
            self._strike()

    def kill_workers(self) -> None:
        """Kill every worker but one."""
        workers = self._workers()
        self._kill("worker", *self._chance.sample(workers, max(0, len(workers) - 1)))

    def resume(self) -> None:
        for pid in list(self._paused):
            self._resume(pid)

    def _strike(self) -> None:
        kill, pause = self._kill, self._pause
        strikes: list[tuple[int, Callable[[], None]]] = [
            (3, lambda: kill("worker", *self._one(self._workers()))),
            (5, lambda: pause("worker", self._workers(), 10)),
            (1, self.kill_workers),
            (1, lambda: kill("api", *self._one(self._named(" api ")))),
            (1, lambda: pause("api", self._named(" api "), 4)),
            (1, lambda: kill("postmaster", *self._postmaster())),
            (1, lambda: pause("postmaster", self._postmaster(), 4)),
            (1, lambda: kill("backend", *self._one(self._backends()))),
            (2, lambda: pause("backend", self._backends(), 8)),
            (3, self._end_backend),
        ]
        weights = [weight for weight, _ in strikes]
        self._chance.choices([strike for _, strike in strikes], weights)[0]()

    def _one(self, pids: list[int]) -> list[int]:
        return self._chance.sample(pids, min(1, len(pids)))

    def _kill(self, what: str, *pids: int) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.kills[what] += 1

    def _end_backend(self) -> None:
        """End one connection, the way pg_terminate_backend does."""
        for pid in self._one(self._backends()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
                self.kills["connection"] += 1

    def _pause(self, what: str, pids: list[int], most_seconds: float) -> None:
        for pid in self._one(pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                self._paused.add(pid)
                self.pauses[what] += 1
            seconds = self._chance.uniform(0.2, most_seconds)
            asyncio.get_running_loop().call_later(seconds, self._resume, pid)

    def _resume(self, pid: int) -> None:
        self._paused.discard(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def _named(self, word: str) -> list[int]:
        found = self._program.processes().items()
        return sorted(pid for pid, command in found if word in f"{command} ")

    def _workers(self) -> list[int]:
        return self._named(" worker ")

    def _postmaster(self) -> list[int]:
        with suppress(OSError, ValueError):  # on its way down or up
            return [self._program.postmaster()]
        return []

    def _backends(self) -> list[int]:
        """Return the server processes of clients."""
        found = []
        for postmaster in self._postmaster():
            for process in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    parent = (process / "stat").read_text().rpartition(")")[2].split()
                    title = (process / "cmdline").read_bytes()
                    if int(parent[1]) == postmaster and b": wellhead well" in title:
                        found.append(int(process.name))
        return sorted(found)

"""The program as its users run it: commands, processes, and what they leave."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

WELLHEAD = [sys.executable, "-m", "wellhead.app.cli"]
DEADLINE_SECONDS = 60


def _heed_interrupts() -> None:
    """As from a terminal: whoever runs the tests may have them ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass
class Program:
    """Wellhead on one data directory, with vectors that cost nothing."""

    data_dir: Path
    servers: list[subprocess.Popen[str]] = field(default_factory=list)
    more: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        inherited = os.environ.items()  # noqa: TID251  # a child's
        kept = {k: v for k, v in inherited if not k.startswith("WELLHEAD_")}
        return kept | {
            "WELLHEAD_DATA_DIR": str(self.data_dir),
            "WELLHEAD_EMBEDDER": "null",
            "WELLHEAD_PORT": "0",
            "WELLHEAD_ENABLE_DEMO_SOURCES": "true",
            **self.more,
        }

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*WELLHEAD, *words],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            env=self.environment | more,
        )

    def ask(self, *words: str) -> Any:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Run a command in the background; it ends with the test."""
        with (self.data_dir / "stderr").open("a") as stderr:
            started = subprocess.Popen(
                [*WELLHEAD, *words],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=self.environment,
                preexec_fn=_heed_interrupts,
            )
        self.servers.append(started)
        return started

    def serve(self) -> subprocess.Popen[str]:
        """Start `wellhead serve`, and wait until it says that it is ready."""
        server = self.start("serve")
        assert server.stdout is not None
        ready = server.stdout.readline()
        assert ready, (self.data_dir / "stderr").read_text()
        return server

    @property
    def served(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.data_dir / "serve.json").read_text())
        return found

    @property
    def key(self) -> str:
        return (self.data_dir / "api_key").read_text().strip()

    def get(self, path: str) -> httpx.Response:
        url = f"{self.served['url']}{path}"
        return httpx.get(url, headers={"x-api-key": self.key}, timeout=30)

    def processes(self) -> dict[int, str]:
        """Return everything that runs for this data directory, by its own account."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ")
                about = command + (process / "environ").read_bytes()
                if command and os.fsencode(self.data_dir) in about:
                    found[int(process.name)] = command.decode(errors="replace")
        return found

    def postmaster(self) -> int:
        file = self.data_dir / "postgres" / "postmaster.pid"
        return int(file.read_text().split("\n")[0])

    def until(self, holds: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not holds():
            assert time.monotonic() < deadline, what
            time.sleep(0.1)

    def end(self) -> None:
        """Stop what a test left running."""
        for server in self.servers:
            if server.poll() is None:
                server.terminate()
                with suppress(subprocess.TimeoutExpired):
                    server.wait(30)
            if server.stdout is not None:
                server.stdout.close()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for server in self.servers:
            server.wait(10)
        shutil.rmtree(self.data_dir, ignore_errors=True)


def programs(disk: Path) -> Iterator[Program]:
    folder = Path(tempfile.mkdtemp(prefix="wellhead-program-", dir=disk))
    folder.chmod(0o711)  # under root the database's own user passes through
    program = Program(folder)
    try:
        yield program
    finally:
        program.end()


@pytest.fixture
def program(quick_disk: Path) -> Iterator[Program]:
    yield from programs(quick_disk)


@pytest.fixture(scope="module")
def served_to_clients(quick_disk: Path) -> Iterator[Program]:
    """One server for programs of others, which may have webhooks on this machine."""
    for program in programs(quick_disk):
        program.more["WELLHEAD_WEBHOOKS_ALLOW_PRIVATE"] = "true"
        program.serve()
        yield program


@pytest.fixture(scope="module")
def served_program(quick_disk: Path) -> Iterator[Program]:
    """One server for the tests of a module, which leave it running."""
    for program in programs(quick_disk):
        program.serve()
        yield program

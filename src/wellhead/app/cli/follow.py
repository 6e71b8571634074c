"""Following a job until it ends, with live progress on stderr."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from wellhead.app.cli.output import COUNTS
from wellhead.app.cli.server import CommandError, RefusedError, Server, segment

FINAL = ("completed", "failed", "cancelled")
POLL_SECONDS = 0.3
LINE_SECONDS = 3.0
PATIENCE_SECONDS = 60.0
BUSY = 500
INTERRUPTED = 130

Tell = Callable[[str], None]


def job_path(connection_id: object, job_id: object) -> str:
    return f"/source-connections/{segment(connection_id)}/jobs/{segment(job_id)}"


def follow(
    server: Server, connection_id: str, job_id: str, *, for_people: bool
) -> dict[str, Any]:
    """Return the job once it has ended; KeyboardInterrupt leaves it alone."""
    path, pace = job_path(connection_id, job_id), Pace()
    with _telling(for_people=for_people) as tell:
        while True:
            job = _ask_patiently(server, path)
            tell(describe(job, pace.note(job)))
            if job["status"] in FINAL:
                return job
            time.sleep(POLL_SECONDS)


def _ask_patiently(server: Server, path: str) -> dict[str, Any]:
    """Outlast a restart of the server or of its database."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            found: dict[str, Any] = server.get(path)
        except CommandError as error:
            is_final = isinstance(error, RefusedError) and error.status < BUSY
            if is_final or time.monotonic() > until:
                raise
            time.sleep(1)
        else:
            return found


@dataclass(slots=True)
class Pace:
    """How many entities a second were looked at lately."""

    seen: list[tuple[float, int]] = field(default_factory=list)

    def note(self, job: dict[str, Any]) -> float:
        now, done = time.monotonic(), done_of(job)
        self.seen = [one for one in self.seen if now - one[0] < 10] + [(now, done)]
        since, before = self.seen[0]
        return (done - before) / (now - since) if now > since else 0.0


def done_of(job: dict[str, Any]) -> int:
    counted = (job.get(f"entities_{count}", 0) for count in (*COUNTS, "kept"))
    return sum(map(int, counted))


def describe(job: dict[str, Any], rate: float) -> str:
    """Say in one line how a job stands."""
    words = [job["status"] if job["status"] != "running" else job["phase"] or "running"]
    words += [
        f"{job[f'entities_{count}']:,} {count}"
        for count in ("inserted", "updated", "deleted", "failed", "kept")
        if job.get(f"entities_{count}") or count == "inserted"
    ]
    if job["status"] not in FINAL:
        words.append(f"{rate:.0f}/s")
    if job["attempt"] > 1:
        words.append(f"attempt {job['attempt']}")
    if waits := _waits(job):
        words.append(f"waits {waits:.0f} s for the source")
    return " · ".join(words)


def _waits(job: dict[str, Any]) -> float:
    if not job["waiting_until"]:
        return 0
    until = datetime.fromisoformat(job["waiting_until"])
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, until.timestamp() - time.time())


@contextmanager
def _telling(*, for_people: bool) -> Iterator[Tell]:
    """Yield what shows a line: live on a terminal, now and then in a log."""
    if not sys.stderr.isatty():
        yield _now_and_then() if for_people else _in_silence
        return
    from rich.console import Console

    with Console(stderr=True).status("pending") as live:
        yield live.update


def _in_silence(_line: str) -> None:
    pass


def _now_and_then() -> Tell:
    told_at, told = -LINE_SECONDS, ""

    def tell(line: str) -> None:
        nonlocal told_at, told
        is_final = line.startswith(FINAL)
        if line != told and (is_final or time.monotonic() - told_at >= LINE_SECONDS):
            told_at, told = time.monotonic(), line
            sys.stderr.write(f"  {line}\n")
            sys.stderr.flush()

    return tell

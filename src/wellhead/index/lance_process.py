"""Upkeep of a large table in a process of its own, which gives its memory back."""

import asyncio
import json
import os
import signal
import sys
import threading
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

import lancedb
from lancedb.table import AsyncTable

from wellhead.index.lance_audit import expunge_table
from wellhead.index.lance_upkeep import Upkeep, maintain_table

CACHE_BYTES = 64 * 2**20
READ_ROWS = 1_024
"""Lance holds several such batches; as many rows as it would take are 150 MB more."""
_DURATIONS = ("keep", "quiet")


class Work(StrEnum):
    """What takes memory in proportion to the table."""

    MAINTAIN = "maintain"
    EXPUNGE = "expunge"


_Function = Callable[[AsyncTable, Path, Upkeep], Awaitable[int | None]]
_FUNCTIONS: dict[Work, _Function] = {
    Work.MAINTAIN: maintain_table,
    Work.EXPUNGE: lambda table, folder, _: expunge_table(table, folder),
}


async def work_on(
    table: AsyncTable, folder: Path, work: Work, upkeep: Upkeep
) -> int | None:
    """Do it here, or where the table is large in a process that ends afterwards.

    Raises what Lance raises; RuntimeError also where the process was killed, which
    harms nothing: what it had not committed is as if it had never begun.
    """
    if await table.count_rows() < upkeep.apart_rows:
        return await _FUNCTIONS[work](table, folder, upkeep)
    return await _work_apart(folder, work, upkeep)


async def _work_apart(folder: Path, work: Work, upkeep: Upkeep) -> int | None:
    given = asdict(upkeep) | {n: getattr(upkeep, n).total_seconds() for n in _DURATIONS}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # nothing in the working directory shadows a module
        "-m",
        "wellhead.index.lance_process",
        str(folder),
        work,
        json.dumps(given),
        stdin=PIPE,
        stdout=PIPE,
    )
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None  # noqa: S101  # PIPE was asked for
    assert stdout is not None  # noqa: S101  # PIPE was asked for
    try:
        said = await stdout.read()
        status = await process.wait()
    finally:
        stdin.close()
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if status != 0:
        raise RuntimeError(f"the process for the table's upkeep ended with {status}")
    answer = json.loads(said)
    if "error" in answer:
        raise RuntimeError(answer["error"])
    result: int | None = answer["result"]
    return result


def main() -> None:
    """Do one piece of work; arguments: the table's folder, the work, when to do it."""
    # Ctrl-C goes to the whole terminal; the parent decides when this ends
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    # Lance has no other way to be told
    os.environ["LANCE_DEFAULT_BATCH_SIZE"] = str(READ_ROWS)  # noqa: TID251  # as above
    folder, work, given = sys.argv[1:]
    values = json.loads(given)
    upkeep = Upkeep(**values | {n: timedelta(seconds=values[n]) for n in _DURATIONS})
    answer: dict[str, int | str | None]
    try:
        answer = {"result": asyncio.run(_work(Path(folder), Work(work), upkeep))}
    except (RuntimeError, ValueError, OSError) as error:
        answer = {"error": str(error)}
    sys.stdout.write(json.dumps(answer))


async def _work(folder: Path, work: Work, upkeep: Upkeep) -> int | None:
    session = lancedb.Session(
        index_cache_size_bytes=CACHE_BYTES, metadata_cache_size_bytes=CACHE_BYTES
    )
    connection = await lancedb.connect_async(folder.parent, session=session)
    with connection, await connection.open_table(folder.stem) as table:
        return await _FUNCTIONS[work](table, folder, upkeep)


def _follow_parent() -> None:
    """End with the parent, whose end of the pipe closes however it dies."""
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()

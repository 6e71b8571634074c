"""Files of a local Lance table: made durable, and mended after a power loss."""

import asyncio
import ctypes
import errno
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from wellhead.domain.errors import ErrorCategory, JobError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_MESSAGES = tuple(f"os error {number}" for number in _FULL)


@asynccontextmanager
async def durable(folder: Path) -> AsyncIterator[None]:
    """Sync every file that appeared in the folder while the block ran.

    Lance writes and renames but syncs nothing. Whatever this block commits is written
    after it began, so it is among the new files, along with those of other writers.
    Raises JobError with DISK_FULL where the disk is full, inside or outside of Lance.
    """
    before = await asyncio.to_thread(_files, folder)
    try:
        yield
        await asyncio.to_thread(_sync_new, folder, before)
    except (OSError, RuntimeError) as error:
        if is_disk_full(error):
            message = f"The disk of the index is full ({folder.parent})"
            raise JobError(message, category=ErrorCategory.DISK_FULL) from error
        raise


@asynccontextmanager
async def exclusive(lock: Path) -> AsyncIterator[None]:
    """Let one at a time into the block, over all tasks, threads and processes."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # polled: a thread that waits could not be cancelled
        while not _is_locked(descriptor):  # noqa: ASYNC110  # set by other processes
            await asyncio.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


def bytes_of(folder: Path) -> int:
    """Return what the files of a folder hold; those that go meanwhile hold nothing."""
    found = 0
    for file in folder.rglob("*"):
        with suppress(OSError):
            if not file.is_dir():
                found += file.stat().st_size
    return found


def is_disk_full(error: Exception) -> bool:
    """Tell by number, or by Lance's message, which ends with the system's."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return any(message in str(error) for message in _FULL_MESSAGES)


def give_back_memory() -> None:
    """Return what was freed to the system; glibc keeps it, megabytes in each thread."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # else another C library
        trim(0)


def remove_torn_manifests(folder: Path) -> bool:
    """Remove empty newest manifests, which only a power loss leaves behind.

    A manifest appears by a rename of a written file, and every acknowledged one was
    synced, so an empty one names nothing that was promised.
    """
    versions = folder / "_versions"
    removed = False
    # names count down from 2^64 - 1: the first is the newest
    for manifest in sorted(versions.glob("*.manifest"), key=lambda path: path.name):
        if manifest.stat().st_size > 0:
            break
        manifest.unlink()
        removed = True
    return removed


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _files(folder: Path) -> set[str]:
    found: set[str] = set()
    pending = [str(folder)]
    while pending:
        with suppress(FileNotFoundError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    found.add(entry.path)
    return found


def _sync_new(folder: Path, before: set[str]) -> None:
    new = _files(folder) - before
    folders = {str(folder)} if new else set()
    for name in new:
        _sync(name)
        folders.update(_up_to(folder, Path(name).parent))
    if not before:
        folders.add(str(folder.parent))
    for name in folders:
        _sync(name)


def _up_to(folder: Path, child: Path) -> list[str]:
    chain = [child, *child.parents]
    return [str(path) for path in chain[: chain.index(folder)]]


def _sync(name: str) -> None:
    # another process may have pruned the file, or moved it into place, by now
    with suppress(FileNotFoundError):
        descriptor = os.open(name, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

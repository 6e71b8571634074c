"""The standard library synced twice: the second time costs next to nothing."""

import sysconfig
import time
from pathlib import Path

from wellhead.domain.jobs import JobStatus
from wellhead.sources.connectors.file_system import walk
from wellhead.sources.registry import Registry

STDLIB = sysconfig.get_path("stdlib")


async def test_a_second_sync_of_the_standard_library_opens_no_file(
    bench, monkeypatch, tell
) -> None:
    opened: list[str] = []
    open_file = walk.open_file

    def counted(path: str) -> Path:
        opened.append(path)
        return open_file(path)

    monkeypatch.setattr(walk, "open_file", counted)
    object.__setattr__(bench.parts, "sources", Registry.load(include_demo=False))
    await bench.configure(
        "file_system",
        path=STDLIB,
        include=["**/*.py"],
        exclude=["**/test/**", "**/tests/**", "**/idle_test/**", "site-packages/**"],
    )

    first = await bench.sync()
    assert first.status is JobStatus.COMPLETED, first.error
    assert first.counts.inserted > 500
    assert len(opened) == first.counts.inserted + first.counts.failed
    opened.clear()
    began = time.process_time()
    second = await bench.sync()
    spent = time.process_time() - began

    assert second.status is JobStatus.COMPLETED, second.error
    assert opened == []
    counts = second.counts
    assert (counts.inserted, counts.updated, counts.deleted) == (0, 0, 0)
    assert counts.kept == first.counts.inserted
    tell(f"standard library, {counts.kept} files unchanged: {spent:.2f} CPU s")

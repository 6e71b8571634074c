"""Durability of Lance's files, and what is mended after a power loss."""

import asyncio
import os
from array import array
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from wellhead.domain.chunks import EntityChunks, text_hash
from wellhead.domain.errors import ErrorCategory, JobError
from wellhead.index.lance import LanceIndex
from wellhead.index.lance_files import durable

COLLECTION = UUID(int=5)


def chunks(version: int) -> EntityChunks:
    return EntityChunks(
        version=version,
        connection_id=uuid4(),
        inserted_by=None,
        job_id=uuid4(),
        entity_key=b"0123456789abcdef",
        entity_type="Note",
        source_name="notes",
        source_id="a",
        name="a",
        created_at=None,
        updated_at=None,
        breadcrumbs=(),
        texts=["text"],
        text_hashes=[text_hash("text")],
        vectors=memoryview(array("f", [1, 2, 3, 4])),
    )


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """Return the set of everything that is synced from here on."""
    paths: set[Path] = set()
    fsync = os.fsync

    def remember(descriptor: int) -> None:
        fsync(descriptor)
        paths.add(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", remember)
    return paths


def everything(folder: Path) -> set[Path]:
    return {folder, *folder.rglob("*")}


async def test_an_append_syncs_its_files_and_their_folders(
    tmp_path: Path, synced: set[Path]
) -> None:
    index = await LanceIndex.open(tmp_path)
    await index.append(COLLECTION, 4, [chunks(1)])
    folder = tmp_path / f"{COLLECTION.hex}.lance"

    assert synced == everything(folder) | {tmp_path}

    before = everything(folder)
    synced.clear()
    await index.append(COLLECTION, 4, [chunks(2)])
    new = everything(folder) - before
    assert {path.suffix for path in new} == {".lance", ".manifest", ".txn"}
    assert synced == new | {path.parent for path in new} | {folder}
    await index.close()


async def test_a_delete_is_synced_too(tmp_path: Path, synced: set[Path]) -> None:
    index = await LanceIndex.open(tmp_path)
    await index.append(COLLECTION, 4, [chunks(1), chunks(2)])
    before = everything(tmp_path)
    synced.clear()
    await index.delete_versions(COLLECTION, [1])
    await index.close()

    assert everything(tmp_path) - before <= synced


async def test_a_full_disk_is_told_from_other_trouble(tmp_path: Path) -> None:
    with pytest.raises(JobError) as caught:
        async with durable(tmp_path):
            await asyncio.to_thread(Path("/dev/full").write_text, "x")
    assert caught.value.category is ErrorCategory.DISK_FULL

    with pytest.raises(JobError):
        async with durable(tmp_path):
            raise RuntimeError("lance error: No space left on device (os error 28), x")
    with pytest.raises(RuntimeError, match="os error 5"):
        async with durable(tmp_path):
            raise RuntimeError("lance error: Input/output error (os error 5), x")


async def test_a_manifest_emptied_by_a_power_loss_does_not_cost_the_table(
    tmp_path: Path,
) -> None:
    index = await LanceIndex.open(tmp_path)
    await index.append(COLLECTION, 4, [chunks(1)])
    await index.close()
    versions = tmp_path / f"{COLLECTION.hex}.lance" / "_versions"
    newest = min(int(path.stem) for path in versions.glob("*.manifest"))
    (versions / f"{newest - 1}.manifest").touch()
    (versions / f"{newest - 2}.manifest").touch()

    index = await LanceIndex.open(tmp_path)
    await index.append(COLLECTION, 4, [chunks(2)])
    assert [pair async for pair in index.versions(COLLECTION)] == [(1, 1), (2, 1)]
    await index.close()


async def test_a_manifest_with_content_is_never_removed(tmp_path: Path) -> None:
    index = await LanceIndex.open(tmp_path)
    await index.append(COLLECTION, 4, [chunks(1)])
    await index.close()
    versions = tmp_path / f"{COLLECTION.hex}.lance" / "_versions"
    newest = min(int(path.stem) for path in versions.glob("*.manifest"))
    unreadable = versions / f"{newest - 1}.manifest"
    unreadable.write_bytes(b"not a manifest at all, but not empty either")

    index = await LanceIndex.open(tmp_path)
    with pytest.raises(RuntimeError):
        await index.append(COLLECTION, 4, [chunks(2)])
    assert unreadable.exists()
    await index.close()

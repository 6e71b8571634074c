"""What a Lance table's manifest names, and what of it is gone."""

from pathlib import Path

import lancedb
import pytest

from wellhead.domain.errors import JobError
from wellhead.index.lance_manifest import missing_files


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A table with two data files, deletions, and states before that."""
    db = await lancedb.connect_async(tmp_path)
    table = await db.create_table("one", [{"version": n} for n in range(50)])
    await table.add([{"version": n} for n in range(50, 90)])
    await table.delete("version IN (3, 4, 60)")
    table.close()
    return tmp_path / "one.lance"


def needed(folder: Path) -> list[Path]:
    return [*folder.glob("data/*"), *folder.glob("_deletions/*")]


def newest(folder: Path) -> Path:
    return min((folder / "_versions").glob("*.manifest"))


def test_nothing_is_missing_of_a_table_that_is_well(folder: Path) -> None:
    assert missing_files(folder) == []


def test_each_file_of_the_newest_state_is_missed(folder: Path) -> None:
    for file in needed(folder):
        content = file.read_bytes()
        file.unlink()
        assert missing_files(folder) == [file]
        file.write_bytes(content)
    assert len(needed(folder)) == 4


async def test_what_only_older_states_need_is_not_missed(folder: Path) -> None:
    old = needed(folder)
    table = await (await lancedb.connect_async(folder.parent)).open_table("one")
    await table.optimize()
    for file in old:
        file.unlink()

    assert missing_files(folder) == []
    assert await table.count_rows() == 87
    table.close()


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\xff" * 12 + b"LANC"])
def test_a_manifest_that_is_none_is_told(folder: Path, content: bytes) -> None:
    newest(folder).write_bytes(content)

    with pytest.raises(JobError, match="cannot be read"):
        missing_files(folder)


def test_a_table_without_any_manifest_is_told(folder: Path) -> None:
    for manifest in (folder / "_versions").glob("*.manifest"):
        manifest.unlink()

    assert missing_files(folder) == [folder / "_versions"]

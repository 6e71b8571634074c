"""Links that keep a table's newest state for as long as a copy takes."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import lancedb
import pyarrow as pa  # type: ignore[import-untyped]

from wellhead.index.lance_pin import pin_folder, pin_tables

ONE = uuid4()
SCHEMA = pa.schema([("version", pa.int64())])


async def _rows(root: Path, collection_id: UUID) -> list[int]:
    connection = await lancedb.connect_async(root)
    with connection:
        table = await connection.open_table(collection_id.hex)
        with table:
            rows = await table.query().to_arrow()
    return sorted(rows["version"].to_pylist())


async def test_the_pinned_state_outlives_deletes_and_leaves_out_later_appends(
    tmp_path: Path,
) -> None:
    root = tmp_path / "index"
    connection = await lancedb.connect_async(root)
    table = await connection.create_table(ONE.hex, schema=SCHEMA)
    for version in range(4):
        await table.add([{"version": version}])
    await table.delete("version = 1")

    with pin_folder(root) as pinned:
        pin_tables(root, [ONE, uuid4()], pinned)
        await table.add([{"version": 9}])
        await table.delete("version < 3")
        await table.optimize(
            cleanup_older_than=timedelta(milliseconds=1), delete_unverified=True
        )

        assert [one.name for one in pinned.iterdir()] == [f"{ONE.hex}.lance"]
        assert await _rows(pinned, ONE) == [0, 2, 3]
    assert await _rows(root, ONE) == [3, 9]
    assert [one.name for one in root.iterdir()] == [f"{ONE.hex}.lance"]
    table.close()
    connection.close()


async def test_a_pinned_state_is_written_on_where_it_was_restored(
    tmp_path: Path,
) -> None:
    root, copy = tmp_path / "index", tmp_path / "copy"
    connection = await lancedb.connect_async(root)
    table = await connection.create_table(ONE.hex, schema=SCHEMA)
    await table.add([{"version": 1}])
    with pin_folder(root) as pinned:
        pin_tables(root, [ONE], pinned)
        await table.add([{"version": 2}])
        for link in [one for one in pinned.rglob("*") if one.is_file()]:
            to = copy / link.relative_to(pinned)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(link.read_bytes())

    restored = await lancedb.connect_async(copy)
    there = await restored.open_table(ONE.hex)
    await there.add([{"version": 5}])
    await there.optimize(cleanup_older_than=timedelta(milliseconds=1))

    assert await _rows(copy, ONE) == [1, 5]
    for one in (there, restored, table, connection):
        one.close()


def test_links_of_a_killed_backup_are_removed_and_those_of_a_living_one_stay(
    tmp_path: Path,
) -> None:
    killed = tmp_path / ".backup-0011"
    killed.mkdir()
    (killed / "link").touch()

    with pin_folder(tmp_path) as living:
        assert not killed.exists()
        with pin_folder(tmp_path) as other:
            assert living.exists()
            assert other.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_torn_by_a_power_loss_is_left_out(tmp_path: Path) -> None:
    versions = tmp_path / f"{ONE.hex}.lance" / "_versions"
    versions.mkdir(parents=True)
    whole, torn = "18446744073709551613.manifest", "18446744073709551612.manifest"
    (versions / whole).write_text("whole")
    (versions / torn).touch()

    with pin_folder(tmp_path) as pinned:
        pin_tables(tmp_path, [ONE], pinned)
        found = [one.name for one in pinned.rglob("*") if one.is_file()]

    assert found == [whole]

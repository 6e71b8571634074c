"""Backups of a place at work, restored into another one."""

import asyncio
import hashlib
import json
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from pydantic import SecretStr
from tests.bench import Bench, thing

from wellhead.app import restore as restoring
from wellhead.app.backup import back_up
from wellhead.app.backup_files import BackupError, Manifest
from wellhead.app.home import Home
from wellhead.app.settings import Settings
from wellhead.domain.errors import ErrorCategory, StartError
from wellhead.domain.items import Item, ScopeEnd, ScopeStart, Upsert
from wellhead.domain.jobs import JobStatus
from wellhead.engine.procrastinate import JobEngine
from wellhead.index.lance import LanceIndex
from wellhead.store import ledger_copy, migrate
from wellhead.store.database import connect
from wellhead.store.reading import Reader
from wellhead.store.secrets import Cipher
from wellhead.worker.lease import LeaseKeeper
from wellhead.worker.maintain import flush_garbage, maintainer
from wellhead.worker.run_job import run_job


def _quiet(_step: str, _done: int, _total: int) -> None:
    pass


@dataclass
class Places:
    """Where the bench lives, a place for backups, and an empty place."""

    settings: Settings
    target: Path
    empty: Settings

    def back_up(self, *, include_secret_key: bool = False) -> Manifest:
        return back_up(
            self.settings,
            self.target,
            include_secret_key=include_secret_key,
            tell=_quiet,
        )

    def restore(self) -> restoring.Restored:
        return restoring.restore(self.empty, self.target, tell=_quiet)


def _settings(data_dir: Path, url: str, **more: Any) -> Settings:
    return Settings(
        data_dir=data_dir, database_url=SecretStr(url), embedder="null", **more
    )


@pytest.fixture
def places(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    database_url: str,
    empty_database_url: str,
) -> Iterator[Places]:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    yield Places(
        _settings(tmp_path, database_url),
        elsewhere / "monday",
        _settings(elsewhere / "restored", empty_database_url),
    )
    shutil.rmtree(elsewhere)


@asynccontextmanager
async def _moved(bench: Bench, places: Places) -> AsyncIterator[Bench]:
    """The same bench on the restored place."""
    url = places.empty.database_url
    assert url is not None
    db, engine = connect(url.get_secret_value()), JobEngine.at(url.get_secret_value())
    await engine.open()
    index = await LanceIndex.open(Home(places.empty.data_dir).index)
    leases = LeaseKeeper(url.get_secret_value())
    leases.start()
    reads = Reader(url.get_secret_value())
    await reads.open()
    parts = replace(bench.parts, db=db, reads=reads, engine=engine, index=index)
    desk = replace(bench.desk, parts=parts, leases=leases)
    try:
        yield replace(bench, parts=parts, desk=desk)
    finally:
        leases.close()
        await reads.close()
        await index.close()
        await engine.close()
        await db.dispose()


async def test_a_restored_place_shows_and_syncs_what_the_original_does(
    bench: Bench, places: Places
) -> None:
    bench.script.world = {str(n): f"content {n}" for n in range(40)}
    await bench.sync()
    bench.script.world |= {"3": "content changed", "new": "content new"}
    del bench.script.world["4"]
    await bench.sync()
    shown = await bench.world()

    manifest = await asyncio.to_thread(places.back_up)
    restored = await asyncio.to_thread(places.restore)

    assert [one.entities for one in manifest.collections] == [40]
    assert (restored.lost, restored.unknown, restored.open_jobs) == (0, 0, 0)
    async with _moved(bench, places) as there:
        assert await there.world() == shown
        again = await there.sync()
        assert (again.counts.kept, again.counts.inserted) == (40, 0)
        bench.script.world["5"] = "content of another day"
        assert (await there.sync()).counts.updated == 1
        assert (await there.world())["5"] == "content of another day"


async def test_no_version_is_ever_used_twice(bench: Bench, places: Places) -> None:
    bench.script.world = {str(n): f"content {n}" for n in range(5)}
    await bench.sync()
    await asyncio.to_thread(places.back_up)
    await bench.scalar("SELECT nextval('version_seq') FROM generate_series(1, 1000)")
    bench.script.world["5"] = "content of the original, after the backup"
    await bench.sync()

    await asyncio.to_thread(places.restore)

    async with _moved(bench, places) as there:
        bench.script.world["5"] = "content of the restored place"
        await there.sync()
        originals = await bench.stored_versions()
        assert max(await there.stored_versions()) > max(originals)
        newest = await there.scalar("SELECT max(version) FROM entity")
        assert newest > ledger_copy.HEADROOM


async def test_a_job_under_way_goes_on_in_the_restored_place(
    bench: Bench, places: Places
) -> None:
    bench.script.world = {str(n): f"content {n}" for n in range(1200)}

    async def listing(_cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        yield ScopeStart()
        for at, (ident, content) in enumerate(sorted(bench.script.world.items())):
            if at == 1100:
                await _until_something_is_committed(bench)
                await asyncio.to_thread(places.back_up)
            yield Upsert(thing(ident, content))
        yield ScopeEnd()

    bench.script.items = listing
    job = await bench.sync()
    assert (job.status, job.counts.inserted) == (JobStatus.COMPLETED, 1200)
    restored = await asyncio.to_thread(places.restore)

    assert (restored.lost, restored.open_jobs) == (0, 1)
    bench.script.items = None
    async with _moved(bench, places) as there:
        partly = await there.job(job.id)
        assert partly.status is JobStatus.RUNNING
        assert 0 < partly.counts.inserted < 1200
        assert len(await there.rows("SELECT 1 FROM entity")) == partly.counts.inserted
        await there.expire_lease(job)
        await run_job(there.desk, job.id)
        ended = await there.job(job.id)
        assert (ended.status, ended.counts.inserted) == (JobStatus.COMPLETED, 1200)
        await _assert_index_is_ledger(there, entities=1200)


async def _until_something_is_committed(bench: Bench) -> None:
    async with asyncio.timeout(30):
        while not await bench.scalar("SELECT count(*) FROM entity"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def _assert_index_is_ledger(bench: Bench, *, entities: int) -> None:
    await bench.ripen_garbage()
    await flush_garbage(bench.parts)
    rows = await bench.rows("SELECT version, chunk_count FROM entity")
    assert len(rows) == entities
    assert await bench.stored_versions() == dict(map(tuple, rows))


async def test_nothing_leaves_the_index_while_a_backup_pins_it(
    bench: Bench, places: Places, database_url: str
) -> None:
    bench.script.world = {"a": "content one", "b": "content two"}
    await bench.sync()
    bench.script.world["a"] = "content three"
    await bench.sync()
    await bench.ripen_garbage()
    pinned, done = threading.Event(), threading.Event()

    def pin(_collections: object) -> None:
        pinned.set()
        assert done.wait(30)

    def hold() -> None:
        with ledger_copy.snapshot(database_url, pin=pin):
            pass

    holding = asyncio.create_task(asyncio.to_thread(hold))
    try:
        assert await asyncio.to_thread(pinned.wait, 30)
        assert await flush_garbage(bench.parts) == 0
        assert len(await bench.stored_versions()) == 3
    finally:
        done.set()
    await holding

    assert await flush_garbage(bench.parts) == 1
    assert len(await bench.stored_versions()) == 2


async def test_a_backup_waits_for_a_maintainer(
    bench: Bench, places: Places, database_url: str
) -> None:
    pinned = threading.Event()

    def hold() -> None:
        with ledger_copy.snapshot(database_url, pin=lambda _: pinned.set()):
            pass

    async with maintainer(bench.parts.db, bench.collection_id) as is_mine:
        assert is_mine
        holding = asyncio.create_task(asyncio.to_thread(hold))
        assert not await asyncio.to_thread(pinned.wait, 0.5)
    await holding

    assert pinned.is_set()


async def test_what_the_ledger_never_heard_of_is_removed(
    bench: Bench, places: Places
) -> None:
    bench.script.world = {"a": "content one", "b": "content two"}
    await bench.sync()
    # as an append that T1 announced after the moment of the backup
    await bench.execute("UPDATE entity SET version = version + 5000")

    await asyncio.to_thread(places.back_up)
    restored = await asyncio.to_thread(places.restore)

    assert (restored.unknown, restored.lost) == (2, 2)
    async with _moved(bench, places) as there:
        assert await there.stored_versions() == {}
        assert (await there.sync()).counts.updated == 2
        assert await there.world() == {"a": "content one", "b": "content two"}


async def test_a_deleted_connection_is_not_called_lost(
    bench: Bench, places: Places
) -> None:
    bench.script.world = {"a": "content one"}
    await bench.sync()
    await bench.execute("UPDATE source_connection SET is_deleting = true")
    await bench.parts.index.delete_connection(bench.collection_id, bench.connection_id)

    await asyncio.to_thread(places.back_up)

    assert (await asyncio.to_thread(places.restore)).lost == 0


async def _with_credential(bench: Bench, places: Places) -> str:
    key = Cipher.new_key()
    places.settings = places.settings.model_copy(
        update={"secret_key": SecretStr(f"{key},{Cipher.new_key()}")}
    )
    await bench.execute(
        "INSERT INTO credential VALUES (:id, :sealed, now())",
        id=bench.connection_id,
        sealed=Cipher([key]).encrypt({}),
    )
    return key


async def test_without_the_key_a_restore_says_what_is_missing(
    bench: Bench, places: Places
) -> None:
    key = await _with_credential(bench, places)
    await asyncio.to_thread(places.back_up)

    restored = await asyncio.to_thread(places.restore)

    assert (restored.credentials, restored.unreadable) == (1, 1)
    assert "cannot be read" in restoring.notes(places.empty, restored)[0]
    held = b"".join(f.read_bytes() for f in places.target.rglob("*") if f.is_file())
    assert key.encode() not in held
    async with _moved(bench, places) as there:
        job = await there.sync()
        assert job.status is JobStatus.FAILED
        assert job.error_category == ErrorCategory.API_KEY_INVALID
        assert "put the key" in (job.error or "")
        with_key = replace(there.parts, cipher=Cipher([key]))
        there.desk = replace(there.desk, parts=with_key)
        there.parts = with_key
        assert (await there.sync()).status is JobStatus.COMPLETED


async def test_with_the_key_everything_can_be_read(
    bench: Bench, places: Places
) -> None:
    await _with_credential(bench, places)
    await asyncio.to_thread(lambda: places.back_up(include_secret_key=True))

    restored = await asyncio.to_thread(places.restore)

    assert (restored.credentials, restored.unreadable) == (1, 0)
    file = places.empty.data_dir / "secret_key"
    assert file.stat().st_mode & 0o77 == 0


async def test_a_wrong_key_is_refused_before_anything_happens(
    bench: Bench, places: Places
) -> None:
    await _with_credential(bench, places)
    await asyncio.to_thread(places.back_up)
    home = Home(places.empty.data_dir)
    home.prepare()
    home.secret("secret_key", Cipher.new_key())

    with pytest.raises(BackupError, match="is not the one that encrypted"):
        await asyncio.to_thread(places.restore)

    assert _left(home) == {"secret_key"}


def _left(home: Home) -> set[str]:
    """Name what is there; a place that was not there before is not there after."""
    names = {one.name for one in home.path.glob("*")} - {"index"}
    return names | {one.name for one in home.index.glob("*")}


@pytest.mark.parametrize("place", ["index", "ledger"])
async def test_one_flipped_bit_is_found_and_nothing_is_restored(
    bench: Bench, places: Places, place: str
) -> None:
    bench.script.world = {"a": "content one"}
    await bench.sync()
    await asyncio.to_thread(places.back_up)
    files = [f for f in (places.target / place).rglob("*") if f.is_file()]
    file = max(files, key=lambda one: one.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)

    with pytest.raises(BackupError, match=f"{file.name}.*damaged, the checksum"):
        restoring.check(places.target, tell=_quiet)
    with pytest.raises(BackupError, match=f"{file.name} is damaged"):
        await asyncio.to_thread(places.restore)

    assert _left(Home(places.empty.data_dir)) == set()
    assert places.empty.database_url is not None
    assert migrate.current(places.empty.database_url.get_secret_value()) is None


async def test_damage_to_the_list_of_files_is_found(
    bench: Bench, places: Places
) -> None:
    await asyncio.to_thread(places.back_up)
    manifest = places.target / "manifest.json"
    manifest.write_text(manifest.read_text().replace("Test", "Tesd"))

    with pytest.raises(BackupError, match="is damaged"):
        restoring.check(places.target, tell=_quiet)


async def test_a_backup_that_is_whole_passes_its_check(
    bench: Bench, places: Places
) -> None:
    made = await asyncio.to_thread(places.back_up)

    assert restoring.check(places.target, tell=_quiet) == made


async def test_nothing_is_overwritten(bench: Bench, places: Places) -> None:
    await asyncio.to_thread(places.back_up)

    with pytest.raises(BackupError, match="is there already"):
        await asyncio.to_thread(places.back_up)
    inside = replace(places, target=places.settings.data_dir / "inside")
    with pytest.raises(BackupError, match="inside the data directory"):
        await asyncio.to_thread(inside.back_up)
    places.empty.data_dir.mkdir()
    (places.empty.data_dir / "thesis.txt").write_text("five years of work")
    with pytest.raises(BackupError, match=r"not empty, it holds thesis\.txt"):
        await asyncio.to_thread(places.restore)
    assert (places.empty.data_dir / "thesis.txt").exists()


async def test_a_database_with_tables_is_refused_and_left_alone(
    bench: Bench, places: Places, empty_database_url: str
) -> None:
    await asyncio.to_thread(places.back_up)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE thesis AS SELECT 5 AS years")

    with pytest.raises(StartError, match=r"not empty, it has tables \(thesis"):
        await asyncio.to_thread(places.restore)

    assert not places.empty.data_dir.exists()
    with psycopg.connect(empty_database_url) as connection:
        row = connection.execute("SELECT years FROM thesis").fetchone()
        assert row == (5,)


async def test_a_ledger_without_its_index_is_no_backup(
    bench: Bench, places: Places, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bench.script.world = {"a": "content one"}
    await bench.sync()
    wrong = tmp_path_factory.mktemp("wrong")
    places.settings = places.settings.model_copy(update={"data_dir": wrong})

    with pytest.raises(BackupError, match="name the data directory"):
        await asyncio.to_thread(places.back_up)

    assert not places.target.parent.joinpath("monday.partial").exists()


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [("format", 2, "newer Wellhead"), ("schema_revision", "9999", "newer Wellhead")],
)
async def test_a_backup_of_a_newer_program_is_refused(
    bench: Bench, places: Places, field: str, value: object, match: str
) -> None:
    await asyncio.to_thread(places.back_up)
    _rewrite(places.target, **{field: value})

    with pytest.raises(BackupError, match=match):
        await asyncio.to_thread(places.restore)


async def test_a_manifest_cannot_name_files_outside(
    bench: Bench, places: Places
) -> None:
    await asyncio.to_thread(places.back_up)
    file = {"path": "index/../../x", "size": 1, "blake2b": "0"}
    _rewrite(places.target, files=[file])

    with pytest.raises(BackupError, match="strange file"):
        await asyncio.to_thread(places.restore)


def _rewrite(target: Path, **changes: object) -> None:
    manifest = target / "manifest.json"
    content = json.dumps(json.loads(manifest.read_bytes()) | changes).encode()
    manifest.write_bytes(content)
    digest = hashlib.blake2b(content, digest_size=32).hexdigest()
    (target / "manifest.json.blake2b").write_text(digest)


async def test_an_interrupted_restore_is_begun_again_and_nothing_starts_meanwhile(
    bench: Bench, places: Places
) -> None:
    bench.script.world = {"a": "content one"}
    await bench.sync()
    await asyncio.to_thread(places.back_up)
    home = Home(places.empty.data_dir)
    home.make()
    # as a kill -9 leaves it
    home.restoring.write_text('["serve.lock"]')
    (home.index / f"{UUID(int=5).hex}.lance").mkdir()
    (home.path / "secret_key").write_text("half")

    with pytest.raises(StartError, match="run `wellhead restore` again"):
        home.prepare()
    await asyncio.to_thread(places.restore)

    home.prepare()
    assert _left(home) == {"serve.lock", f"{bench.collection_id.hex}.lance"}


async def test_a_full_disk_is_told_before_anything_is_written(
    bench: Bench, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=9))

    with pytest.raises(BackupError, match="up to"):
        await asyncio.to_thread(places.back_up)
    assert list(places.target.parent.iterdir()) == []

"""Sources of files, each on a real server: what all of them have to do."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.servers.store import Store
from tests.sources.conftest import Connect

from wellhead.domain.entities import Entity
from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    EntityError,
    FailureClass,
    RetryableError,
)
from wellhead.domain.items import Delete, Failure, Item, Ref, ScopeEnd, Upsert
from wellhead.domain.jobs import JobStatus
from wellhead.sources.base import Source
from wellhead.sources.conformance import CHECKS
from wellhead.sources.downloads import Downloads
from wellhead.sources.registry import Registry

ALL = ("s3", "gcs", "azure_blob", "webdav", "sftp")
# fake-gcs-server checks neither keys nor buckets
STRICT = ("s3", "azure_blob", "webdav", "sftp")
FILES = ("README.md", "docs/a b.md", "docs/deep/c.txt", "docs/ü 100%.md", "src/flow.py")


def planted(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(request.param)
    found = found.fresh()
    for path in FILES:
        found.put(path, f"content of {path}")
    found.put("picture.jpg", "no text at all")
    return found


@pytest.fixture(params=ALL)
def store(request: pytest.FixtureRequest) -> Store:
    """A folder of its own on one of the servers, with a few files."""
    return planted(request)


@pytest.fixture(params=ALL, scope="module")
def still(request: pytest.FixtureRequest) -> Store:
    """The same, for tests that change nothing there."""
    return planted(request)


Make = Callable[..., Source]


@pytest.fixture
async def source() -> AsyncIterator[Make]:
    """How to make a source of a store; all are closed when the test is over."""
    made: list[Source] = []

    def make(
        store: Store, secrets: dict[str, Any] | None = None, **config: Any
    ) -> Source:
        kind = Registry.load(include_demo=False).get(store.short_name)
        given = store.secrets if secrets is None else secrets
        made.append(kind.create({**store.config, **config}, given))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def read(one: Source, items: list[Item] | None = None) -> list[Item]:
    """Return what is read; given a list, what came before an error is in it."""
    items = [] if items is None else items
    async for item in one.read(None):
        items.append(item)  # kept when it raises
    return items


def entities(store: Store, items: list[Item]) -> dict[str, Entity]:
    found = [item.entity for item in items if isinstance(item, Upsert)]
    return {entity.source_id.removeprefix(store.before): entity for entity in found}


@pytest.mark.parametrize("check", CHECKS)
async def test_a_source_of_files_conforms(
    still: Store, source: Make, check: str
) -> None:
    assert await CHECKS[check](lambda: source(still)) == []


async def test_files_are_added_changed_and_deleted_between_two_jobs(
    store: Store, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    fetch = Downloads._open

    def counted(self: Downloads, name: str, write: Any) -> Any:
        opened.append(name)
        return fetch(self, name, write)

    monkeypatch.setattr(Downloads, "_open", counted)
    bench = await connect(store.short_name, store.config, store.secrets)
    first = await bench.sync()
    assert first.status is JobStatus.COMPLETED, first.error
    assert (first.counts.inserted, first.counts.failed) == (len(FILES), 0)

    opened.clear()
    store.put("new.md", "content that is new")
    store.put("README.md", "content that is other")
    store.delete("docs/a b.md")
    second = await bench.sync()

    assert second.status is JobStatus.COMPLETED, second.error
    counts = second.counts
    assert (counts.inserted, counts.updated, counts.deleted) == (1, 1, 1)
    assert sorted(opened) == ["README.md", "new.md"]
    shown = await bench.world()
    texts = {key.removeprefix(store.before): text for key, text in shown.items()}
    assert "docs/a b.md" not in texts
    assert texts["README.md"] == "content that is other"
    assert texts["docs/ü 100%.md"] == "content of docs/ü 100%.md"


async def test_patterns_and_sizes_choose(store: Store, source: Make) -> None:
    store.put("large.txt", "x" * (1024 * 1024 + 1))
    chosen = source(store, include=["*.md", "*.txt"], exclude=["deep/"], max_file_mb=1)
    items = await read(chosen)

    assert set(entities(store, items)) == {
        "README.md",
        "docs/a b.md",
        "docs/ü 100%.md",
    }
    [failure] = [item for item in items if isinstance(item, Failure)]
    assert failure.failure_class is FailureClass.PERMANENT
    assert failure.ref == Ref("File", f"{store.before}large.txt")


async def test_a_file_says_where_it_is(still: Store, source: Make) -> None:
    entity = entities(still, await read(source(still)))["docs/deep/c.txt"]

    assert entity.name == "c.txt"
    assert [step.name for step in entity.breadcrumbs[-2:]] == ["docs", "deep"]
    assert entity.url.endswith(f"{still.folder}docs/deep/c.txt")
    assert entity.updated_at is not None


@pytest.mark.parametrize("still", STRICT, indirect=True)
async def test_refused_credentials_are_told_without_a_secret(
    still: Store, source: Make
) -> None:
    with pytest.raises(CredentialsError) as told:
        await source(still, still.wrong).check()

    assert still.told in str(told.value)
    for name in still.wrong.keys() - {"username", "access_key_id"}:
        assert still.wrong[name] not in f"{told.value!r} {told.value.__cause__!r}"


@pytest.mark.parametrize("still", STRICT, indirect=True)
async def test_what_is_not_there_is_named(still: Store, source: Make) -> None:
    [name] = still.missing.values()
    with pytest.raises(ConfigError, match=f"{name}.* does not exist"):
        await source(still, **still.missing).check()


async def test_a_server_that_is_gone_may_be_asked_again(
    still: Store, source: Make
) -> None:
    still.line.cut_after(0)
    try:
        with pytest.raises(RetryableError, match="cannot be reached"):
            await source(still).check()
    finally:
        still.line.mend()


async def test_a_listing_that_is_cut_off_deletes_nothing(
    still: Store, source: Make
) -> None:
    still.line.cut_after(1_500)  # in the midst of the answer
    items: list[Item] = []
    try:
        with pytest.raises(RetryableError):
            await read(source(still), items)
    finally:
        still.line.mend()

    assert not any(isinstance(item, ScopeEnd | Delete) for item in items)


async def test_a_file_that_vanished_fails_alone(store: Store, source: Make) -> None:
    one = source(store)
    blob = entities(store, await read(one))["README.md"].blob
    store.delete("README.md")

    assert blob is not None
    with pytest.raises(EntityError, match="no longer there") as told:
        await asyncio.to_thread(blob.open)
    assert told.value.failure_class is FailureClass.TRANSIENT
    await one.close()


async def test_a_file_is_on_disk_only_while_its_path_is_held(
    still: Store, source: Make
) -> None:
    one = source(still)
    blob = entities(still, await read(one))["README.md"].blob
    assert blob is not None
    path = await asyncio.to_thread(blob.open)
    place = str(path)
    folder = path.parent

    assert path.read_text() == "content of README.md"
    del path
    await asyncio.sleep(0.1)  # the future that brought it goes, too
    assert [*folder.iterdir()] == [], place
    await one.close()
    assert not folder.exists()


@pytest.mark.soak
async def test_many_files_are_listed_with_little_memory(
    store: Store, source: Make, tell: Any
) -> None:
    for n in range(2_000):
        store.put(f"many/{n:04}.md", "small")
    one = source(store)
    count = 0
    tracemalloc.start()
    async for item in one.read(None):
        count += isinstance(item, Upsert)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 2_000 + len(FILES)
    assert peak < 8 * 2**20
    tell(f"{store.short_name}: 2,000 files listed, {peak / 2**20:.1f} MB at most")

"""What each demo source promises beyond the conformance suite."""

import asyncio
import zipfile
from typing import Any

import pytest
from pydantic import ValidationError

from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    CursorInvalidError,
    ErrorCategory,
    FailureClass,
    JobError,
    RetryableError,
)
from wellhead.domain.items import (
    Checkpoint,
    Delete,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    Seen,
    Upsert,
)
from wellhead.sources.base import Source
from wellhead.sources.connectors.exception_stub import (
    ExceptionKind,
    ExceptionStubSource,
)
from wellhead.sources.connectors.file_stub import FileStubSource
from wellhead.sources.connectors.incremental_stub import IncrementalStubSource
from wellhead.sources.connectors.stub import StubSource
from wellhead.sources.connectors.timed import TimedSource


async def read(
    source: Source,
    cursor: dict[str, Any] | None = None,
    into: list[Item] | None = None,
) -> list[Item]:
    """Return the items; `into` keeps those that came before an error."""
    items = [] if into is None else into
    async for item in source.read(cursor):
        items.append(item)
    return items


def names(items: list[Item]) -> list[str]:
    return [item.entity.name for item in items if isinstance(item, Upsert)]


def types(items: list[Item]) -> set[str]:
    return {item.entity.type for item in items if isinstance(item, Upsert)}


def texts(items: list[Item]) -> list[str]:
    return [
        item.entity.text
        for item in items
        if isinstance(item, Upsert) and item.entity.text
    ]


async def test_timed_spreads_its_entities_over_the_time() -> None:
    clock = asyncio.get_running_loop().time
    start = clock()
    source = TimedSource.create({"entity_count": 4, "duration_seconds": 0.4}, {})
    at = [clock() - start async for one in source.read(None) if isinstance(one, Upsert)]

    assert len(at) == 5
    # not before their time; how much later is the machine's affair
    assert all(one >= 0.1 * n - 0.02 for n, one in enumerate(at))


async def test_timed_resumes_without_repeating_or_waiting_again() -> None:
    quick = {"entity_count": 60, "duration_seconds": 0.2}
    whole = await read(TimedSource.create(quick, {}))
    # had it to wait for what was done before, it would take ten minutes
    slow = {"entity_count": 60, "duration_seconds": 600}
    rest = read(TimedSource.create(slow, {}), {"index": 60})

    assert names(await asyncio.wait_for(rest, timeout=60)) == []
    rest = read(TimedSource.create(quick, {}), {"index": 58})
    assert names(await rest) == names(whole)[-2:]


async def test_timed_stops_at_once_when_cancelled() -> None:
    source = TimedSource.create({"entity_count": 1, "duration_seconds": 600}, {})
    running = asyncio.ensure_future(read(source))
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, timeout=30)


async def test_the_stub_makes_every_type_and_only_those_with_weight() -> None:
    everything = await read(StubSource.create({"entity_count": 300}, {}))
    weights = dict.fromkeys(
        (
            "small_entity_weight",
            "medium_entity_weight",
            "large_entity_weight",
            "small_file_weight",
            "large_file_weight",
        ),
        0,
    )
    code = await read(StubSource.create({"entity_count": 30, **weights}, {}))

    assert types(everything) == set(StubSource.info.entity_types)
    assert types(code) == {"StubContainerEntity", "CodeStubFileEntity"}


async def test_the_stub_depends_on_its_seed_only() -> None:
    one = await read(StubSource.create({"seed": 1}, {}))
    again = await read(StubSource.create({"seed": 1}, {}))
    two = await read(StubSource.create({"seed": 2}, {}))

    assert texts(one) == texts(again) != texts(two)


async def test_the_stub_writes_what_it_is_asked_to() -> None:
    config = {"custom_content_prefix": "Zebra", "inject_special_tokens": True}
    found = texts(await read(StubSource.create(config, {})))

    assert all(text.startswith("Zebra") for text in found[1:])
    assert all("<|endoftext|>" in text for text in found[1:])


async def test_the_stub_fails_after_so_many_entities() -> None:
    items: list[Item] = []
    with pytest.raises(JobError):
        await read(StubSource.create({"fail_after": 3}, {}), into=items)

    assert len(names(items)) == 4


async def test_the_incremental_stub_tells_what_is_new_and_its_container() -> None:
    first = await read(IncrementalStubSource.create({"entity_count": 5}, {}))
    cursor = first[-1]
    assert isinstance(cursor, Checkpoint)
    grown = IncrementalStubSource.create({"entity_count": 7}, {})
    items = await read(grown, cursor.token)

    assert cursor.token == {"last_index": 5}
    upserts = [item.entity for item in items if isinstance(item, Upsert)]
    assert [entity.raw.get("index") for entity in upserts] == [None, 6, 7]
    assert items[-2:] == [ScopeEnd(complete=False), Checkpoint({"last_index": 7})]


async def test_the_incremental_stub_completes_a_listing_it_resumes() -> None:
    source = IncrementalStubSource.create({"entity_count": 150}, {})
    whole = await read(source)
    token = next(item.token for item in whole if isinstance(item, Checkpoint))
    rest = await read(source, token)

    assert names(rest)[1:] == names(whole)[101:]
    assert rest[-2] == ScopeEnd(complete=True)


async def test_the_incremental_stub_tells_what_lives_and_what_is_gone() -> None:
    source = IncrementalStubSource.create({"entity_count": 3}, {})
    seen = [item async for item in source.ids() if isinstance(item, Seen)]
    gone = Ref("IncrementalStubEntity", "incremental-stub-42-9")
    fetched = [item async for item in source.fetch([gone, seen[2].ref])]

    assert len(seen) == 4
    assert fetched[0] == Delete(gone)
    assert isinstance(fetched[1], Upsert)
    assert fetched[1].key == seen[2].key


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (ExceptionKind.RUNTIME_ERROR, RuntimeError),
        (ExceptionKind.TIMEOUT, TimeoutError),
        (ExceptionKind.SERVER_ERROR, RetryableError),
        (ExceptionKind.RATE_LIMITED, RetryableError),
        (ExceptionKind.CREDENTIALS_INVALID, CredentialsError),
        (ExceptionKind.OAUTH_CREDENTIALS_EXPIRED, CredentialsError),
        (ExceptionKind.AUTH_PROVIDER_ACCOUNT_GONE, CredentialsError),
        (ExceptionKind.AUTH_PROVIDER_CREDENTIALS_INVALID, CredentialsError),
        (ExceptionKind.CONFIG_INVALID, ConfigError),
        (ExceptionKind.CURSOR_INVALID, CursorInvalidError),
        (ExceptionKind.JOB_ERROR, JobError),
    ],
)
async def test_the_exception_stub_raises_what_was_chosen(
    kind: ExceptionKind, error: type[Exception]
) -> None:
    config = {"exception_type": kind, "fail_on_validate": True, "error_message": "Oh"}
    source = ExceptionStubSource.create(config, {})
    items: list[Item] = []
    with pytest.raises(error, match=r"^Oh$"):
        await source.check()
    with pytest.raises(error, match=r"^Oh$"):
        await read(source, into=items)

    assert len(names(items)) == 6


async def test_the_exception_stub_names_the_category() -> None:
    config = {"exception_type": "auth_provider_account_gone", "trigger_after": 0}
    with pytest.raises(CredentialsError, match="klavis") as caught:
        await read(
            ExceptionStubSource.create({**config, "auth_provider_kind": "klavis"}, {})
        )

    assert caught.value.category is ErrorCategory.AUTH_PROVIDER_ACCOUNT_GONE


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("entity_unreadable", FailureClass.TRANSIENT),
        ("entity_corrupt", FailureClass.PERMANENT),
    ],
)
async def test_the_exception_stub_spoils_one_entity(
    kind: str, told: FailureClass
) -> None:
    items = await read(ExceptionStubSource.create({"exception_type": kind}, {}))
    failed = [item for item in items if isinstance(item, Failure)]

    assert [item.failure_class for item in failed] == [told]
    assert len(names(items)) == 11
    assert items[-1] == ScopeEnd()


@pytest.mark.parametrize(("after", "before"), [(0, 0), (-1, 11), (3, 4)])
async def test_the_exception_stub_waits_for_its_moment(after: int, before: int) -> None:
    items: list[Item] = []
    source = ExceptionStubSource.create({"trigger_after": after}, {})
    with pytest.raises(RuntimeError):
        await read(source, into=items)

    assert len(names(items)) == before


async def test_the_exception_stub_may_never_go_wrong() -> None:
    source = ExceptionStubSource.create({"trigger_after": 10}, {})

    assert len(names(await read(source))) == 11


async def test_the_file_stub_writes_real_files() -> None:
    source = FileStubSource.create({"custom_content_prefix": "Zebra"}, {})
    items = await read(source)
    files = {
        item.entity.raw["file_type"]: item.entity.blob.open()
        for item in items
        if isinstance(item, Upsert) and item.entity.blob
    }

    assert set(files) == {"md", "html", "csv", "json", "eml", "pdf", "docx"}
    for ending in ("md", "html", "csv", "json", "eml", "pdf"):
        assert b"Zebra" in files[ending].read_bytes()
    with zipfile.ZipFile(files["docx"]) as archive:
        assert b"Zebra" in archive.read("word/document.xml")
    await source.close()
    assert not files["md"].exists()


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (TimedSource, {"entity_count": 0}),
        (TimedSource, {"entity_count": 10_001}),
        (TimedSource, {"duration_seconds": 601}),
        (StubSource, {"entity_count": 100_001}),
        (StubSource, {"generation_delay_ms": 10_001}),
        (ExceptionStubSource, {"exception_type": "other"}),
    ],
)
def test_values_out_of_range_are_refused(
    kind: type[Source], config: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        kind.create(config, {})

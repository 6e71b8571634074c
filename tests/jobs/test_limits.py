"""Whatever a source says is stored or quarantined with a reason; the rest goes on."""

import asyncio
import json
import math
import os
import socket
import time
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from wellhead.api.application import create_app
from wellhead.domain.entities import Access, Blob, Breadcrumb, Entity
from wellhead.domain.errors import FailureClass, RetryableError
from wellhead.domain.items import (
    Checkpoint,
    Delete,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
    Shown,
    Upsert,
)
from wellhead.domain.jobs import JobStatus
from wellhead.embed.null import NullEmbedder
from wellhead.sources.connectors.file_system import FileSystemSource
from wellhead.sync import loading
from wellhead.sync.convert.text import BLOCK, read_text

Bench = Any  # the fixture's own class

NESTED: list[Any] = []
for _ in range(900):
    NESTED = [NESTED]
ENDLESS: list[Any] = []
for _ in range(5_000):
    ENDLESS = [ENDLESS]
LOOP: dict[str, Any] = {}
LOOP["self"] = LOOP
FAR_EAST = timezone(timedelta(hours=14))
FAR_WEST = timezone(timedelta(hours=-12))


def odd(ident: str, **more: Any) -> Entity:
    given = {"type": "Odd", "name": "Odd", "text": "odd content", **more}
    return Entity(source_id=ident, **given)


def _fail(error: Exception) -> Path:
    raise error


STORED = {
    "empty id": odd(""),
    "empty name": odd("n1", name=""),
    "no text": odd("n2", text="", name="odd content"),
    "NUL everywhere": odd(
        "a\0b", name="N\0", text="odd\0 content", url="u\0", raw={"k\0": "v\0"}
    ),
    "looks like the escaped one": odd("a\\{0}b"),
    "lone surrogates": odd(
        "s\udcff",
        name="\ud800 N \udfff",
        text="odd content \udc80 \ud83e",
        raw={"\udcff": ["\udcff", {"\ud800": "\udfff"}]},
        url="http://\udcff",
        breadcrumbs=(Breadcrumb("\udcff", "\ud800", "T\0"),),
    ),
    "question mark instead": odd("s?"),
    "composed": odd("caf\u00e9"),
    "decomposed": odd("cafe\u0301"),
    "long id": odd("x" * 4_096),
    "longest id": odd("\U0001f989" * 8_192),
    "right to left, joiners, controls": odd(
        "\u202eabc\u200d\x1b[31m\x7f",
        name="\u202e\u200d\x1b[2J",
        text="odd content \x07\x1b",
    ),
    "before 1970": odd("d1", created_at=datetime(1, 1, 1, tzinfo=UTC)),
    "first moment, east": odd(
        "d2",
        text="odd content shibboleth",
        created_at=datetime.min.replace(tzinfo=FAR_EAST),
    ),
    "last moment, west": odd("d3", updated_at=datetime.max.replace(tzinfo=FAR_WEST)),
    "no time zone": odd("d4", created_at=datetime.max, updated_at=datetime.min),  # noqa: DTZ901
    "no numbers": odd(
        "f1",
        text="odd content shibboleth",
        raw={"a": math.nan, "b": [math.inf, -math.inf]},
    ),
    "huge numbers": odd("f2", raw={"a": 10**5_000, "b": 10**200_000, "c": 10**300}),
    "smallest numbers": odd("f3", raw={"a": 5e-324, "b": -0.0, "c": 1.7e308}),
    "nested": odd("j1", raw={"a": NESTED}),
    "nested without end": odd("j2", raw={"a": ENDLESS}),
    "contains itself": odd("j3", raw=LOOP),
    "keys of all kinds": odd("j4", raw={1: 1, "a": 2, None: 3, (1, 2): 4, math.nan: 5}),
    "no JSON": odd("j5", raw={"a": b"\xff", "b": {1, 2}, "c": datetime.max}),  # noqa: DTZ901
    "long version": odd("v1", source_version="v" * 1_000_000),
    "odd version": odd("v2", source_version="\0\udcff"),
    "long name": odd("n3", name="odd name " * 100_000),
    "many steps": odd(
        "b1",
        breadcrumbs=tuple(Breadcrumb(str(n), "s" * 50, "T") for n in range(1_000)),
        text="odd content " * 3_000,
    ),
    "viewers": odd(
        "p1",
        text="odd content shibboleth",
        access=Access(viewers=("ali\0ce", "\udcff")),
    ),
    "one long line": odd("t1", text="odd content " + "x" * 500_000),
    "one long word of another script": odd("t2", text="odd content " + "水" * 60_000),
    "marks upon marks": odd("t3", text="odd content e" + "\u0301" * 100_000),
    "surrogate in type": odd("t4", type="T\udcff\0"),
}

REFUSED = {
    "too long an id": (odd("y" * 9_000), "its id has 9000 characters"),
    "too many steps": (
        odd("b2", breadcrumbs=(Breadcrumb("a", "b", "T"),) * 100_000),
        "the way to it has 100000 steps",
    ),
    "too much metadata": (
        odd("m1", raw={"a": "x" * 17 * 2**20}),
        "its metadata is 17 MB large",
    ),
    "a blob that cannot be opened": (
        odd(
            "o1",
            text=None,
            blob=Blob(
                name="a.txt",
                size=1,
                open=partial(_fail, OSError(5, "Input/output error")),
            ),
        ),
        "Input/output error",
    ),
    "a blob whose source breaks": (
        odd(
            "o2",
            text=None,
            blob=Blob(name="a.txt", size=1, open=partial(_fail, KeyError("id"))),
        ),
        "unexpected KeyError",
    ),
    "a blob that is a folder": (
        odd("o3", text=None, blob=Blob(name="a.txt", size=1, open=lambda: Path("/"))),
        "Is a directory",
    ),
    "a blob with an impossible path": (
        odd(
            "o4", text=None, blob=Blob(name="a.txt", size=1, open=lambda: Path("a\0b"))
        ),
        "null byte",
    ),
    "a date that is none": (odd("w1", created_at="yesterday"), "unexpected"),
    "no name at all": (odd("w2", name=None), "unexpected"),
}


async def listed(
    _cursor: dict[str, Any] | None, *entities: Entity
) -> AsyncIterator[Item]:
    yield ScopeStart()
    for entity in entities:
        yield Upsert(entity)
    yield ScopeEnd()


def api(bench: Bench) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(bench.parts, auth=False))
    return httpx.AsyncClient(transport=transport, base_url="http://test")


def strict(answer: httpx.Response) -> Any:
    """Read an answer as a strict reader does: no NaN, no half characters."""
    assert answer.status_code == httpx.codes.OK, answer.text[:500]
    answer.text.encode()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(answer.content.decode(), parse_constant=refuse)


async def test_the_oddest_entities_are_stored_or_refused_with_a_reason(
    bench: Bench,
) -> None:
    odd_ones = [*STORED.values(), *(entity for entity, _ in REFUSED.values())]
    plain = [odd(f"plain-{n}") for n in range(100)]
    bench.script.items = lambda cursor: listed(cursor, *odd_ones, *plain)

    with capture_logs([merge_contextvars]) as logged:
        job = await bench.sync()

    assert job.status is JobStatus.COMPLETED, job.error
    assert "entity broke" in {entry["event"] for entry in logged}
    assert {entry.get("job_id") for entry in logged} == {str(job.id)}
    rows = await bench.rows("SELECT source_id, reason FROM job_failure")
    reasons = {row.source_id: row.reason for row in rows}
    for what, (entity, reason) in REFUSED.items():
        assert reason in reasons.pop(entity.source_id[:8_192]), what
    assert reasons == {}
    assert job.counts.inserted == len(STORED) + len(plain)
    found = await bench.found("content")
    stored = await bench.rows("SELECT source_id, chunk_count FROM entity")
    assert {row.source_id for row in stored} - found == {"n2"}
    assert len(stored) == len(STORED) + len(plain)

    await _all_answers_are_json(bench, job.id)
    with capture_logs():
        again = await bench.sync()

    assert again.status is JobStatus.COMPLETED, again.error
    assert again.counts.kept == len(STORED) + len(plain)
    assert (again.counts.inserted, again.counts.updated) == (0, 0)

    bench.script.items = lambda cursor: listed(cursor, *plain)
    last = await bench.sync(confirm_deletes=1000)

    assert last.counts.deleted == len(STORED)
    assert await bench.found("content") == {one.source_id for one in plain}


async def _all_answers_are_json(bench: Bench, job_id: Any) -> None:
    async with api(bench) as client:
        path = f"/source-connections/{bench.connection_id}"
        failures = strict(await client.get(f"{path}/jobs/{job_id}/failures"))
        assert len(json.dumps(failures)) > len(REFUSED)
        strict(await client.get(path))
        strict(await client.get(f"{path}/jobs"))
        query = {"query": "shibboleth", "retrieval_strategy": "keyword"}
        hits = strict(await client.post("/collections/test/search/instant", json=query))
        by_id = {
            hit["airweave_system_metadata"]["original_entity_id"]: hit
            for hit in hits["results"]
        }
        assert by_id["f1"]["raw_source_fields"] == {"a": None, "b": [None, None]}
        assert by_id["d2"]["created_at"].startswith("0001-01-01")
        assert by_id["p1"]["access"]["viewers"] == ["\\{dcff}", "ali\\{0}ce"]


async def test_a_delete_finds_the_oddest_ids(bench: Bench) -> None:
    async def gone(_cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        for entity in STORED.values():
            yield Delete(Ref(entity.type, entity.source_id))

    bench.script.items = lambda cursor: listed(cursor, *STORED.values())
    await bench.sync()
    bench.script.items = gone
    job = await bench.sync()

    assert job.counts.deleted == len(STORED)
    assert await bench.scalar("SELECT count(*) FROM entity") == 0


ODD_WORDS = ["", "/", "a\0b", "\udcff/\ud800", "\u202e", "%s :x '\"; --", "é" * 500]


async def test_scopes_and_failures_may_have_any_name(bench: Bench) -> None:
    async def items(_cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        for number, word in enumerate(ODD_WORDS):
            yield ScopeStart(word)
            yield Upsert(odd(f"e{number}"))
            yield Failure(
                Ref("Odd", f"f{word}"),
                f"why {word}",
                FailureClass.PERMANENT,
                source_version=word,
            )
            yield ScopeEnd(word)
        yield ScopeStart("broken")
        yield Failure(None, "\0\udcff")
        yield ScopeEnd("broken")

    bench.script.items = items
    job = await bench.sync()

    assert job.status is JobStatus.COMPLETED, job.error
    assert (job.counts.inserted, job.counts.failed) == (len(ODD_WORDS), len(ODD_WORDS))
    assert await bench.scalar("SELECT count(*) FROM failure") == len(ODD_WORDS)


async def test_a_scope_that_no_index_holds_fails_the_job_clearly(bench: Bench) -> None:
    async def items(_cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        yield ScopeStart("s" * 3_000)

    bench.script.items = items
    job = await bench.sync()

    assert job.status is JobStatus.FAILED
    assert "named a part of itself with 3000 characters" in str(job.error)


TOKENS = {
    "numbers that are none": {"at": math.inf, "and": -math.inf},
    "characters that are none": {"at\0": "\0 \ud800 \udcff"},
    "its own wrapping": {"$json": "{}"},
    "ten megabytes": {"at": "x" * 10 * 2**20},
    "nested": {"at": NESTED},
}


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
async def test_a_checkpoint_comes_back_as_it_was_given(
    bench: Bench, token: dict[str, Any]
) -> None:
    async def items(cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        yield ScopeStart()
        if cursor is None:
            yield Upsert(odd("a"))
            yield Checkpoint(token)
            raise RetryableError("a short trouble", after=0.01)
        yield Upsert(odd("b"))
        yield ScopeEnd()

    bench.script.items = items
    job = await bench.sync()

    assert job.status is JobStatus.COMPLETED, job.error
    assert bench.script.cursors == [None, token]


async def test_a_checkpoint_that_is_not_json_fails_the_job_clearly(
    bench: Bench,
) -> None:
    async def items(_cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        yield Checkpoint({"at": b"bytes"})

    bench.script.items = items
    job = await bench.sync()

    assert job.status is JobStatus.FAILED
    assert "checkpoint of the source is not JSON" in str(job.error)


async def test_an_odd_entity_that_failed_is_fetched_by_its_own_id(bench: Bench) -> None:
    asked: list[Ref] = []

    async def items(_cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        yield ScopeStart()
        yield Failure(Ref("Odd", "\0\udcff\\{0}"), "a short trouble")
        yield ScopeEnd()

    async def fetched(refs: Any) -> AsyncIterator[Item]:
        asked.extend(refs)
        for ref in refs:
            yield Upsert(odd(ref.source_id))

    bench.script.items, bench.script.fetched = items, fetched
    job = await bench.sync()

    assert asked == [Ref("Odd", "\0\udcff\\{0}")]
    assert (job.counts.inserted, job.counts.failed) == (1, 0)
    assert await bench.scalar("SELECT count(*) FROM failure") == 0


def file_of(path: Path, ident: str = "big") -> Entity:
    blob = Blob(name="big.txt", size=path.stat().st_size, open=lambda: path)
    return Entity(type="Odd", source_id=ident, name="Big", blob=blob)


def write_lines(path: Path, megabytes: int) -> None:
    with path.open("w") as file:
        for number in range(megabytes * 2**20 // 64):
            file.write(f"line {number:08} of a big file with content and some more🦉\n")


async def test_a_large_file_is_appended_in_parts_under_one_version(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "big.txt"
    write_lines(path, 9)
    bench.script.items = lambda cursor: listed(
        cursor, odd("before"), file_of(path), odd("after")
    )
    sizes: list[int] = []
    append = bench.parts.index.append

    async def watched(collection_id: Any, dimension: int, entities: Any) -> None:
        sizes.append(sum(len(one.texts) for one in entities))
        await append(collection_id, dimension, entities)

    monkeypatch.setattr(bench.parts.index, "append", watched)
    job = await bench.sync()

    assert job.status is JobStatus.COMPLETED, job.error
    assert job.counts.inserted == 3
    row = (
        await bench.rows(
            "SELECT version, chunk_count FROM entity WHERE source_id = 'big'"
        )
    )[0]
    assert row.chunk_count > 10_000
    assert max(sizes) <= 5_000
    assert (await bench.stored_versions())[row.version] == row.chunk_count
    assert "big" in await bench.found("00000000")
    assert "big" in await bench.found(f"{9 * 2**14 - 1:08}")

    with path.open("a") as file:
        file.write("a last line that is new\n")
    asked: list[str] = []
    embed = NullEmbedder.embed

    async def counted(self: NullEmbedder, texts: Any) -> Any:
        asked.extend(texts)
        return await embed(self, texts)

    monkeypatch.setattr(NullEmbedder, "embed", counted)
    changed = await bench.sync()

    assert changed.counts.updated == 1
    assert len(asked) <= 2, "only what is new is embedded"


async def test_a_large_file_can_be_cancelled_at_every_stage(
    bench: Bench, tmp_path: Path
) -> None:
    path = tmp_path / "big.txt"
    write_lines(path, 20)
    bench.script.items = lambda cursor: listed(cursor, file_of(path))
    started = await bench.start()
    running = asyncio.create_task(bench.run(started))
    await bench.until(started, lambda job: job.status is JobStatus.RUNNING)
    slowest, last = 0.0, time.monotonic()
    for _ in range(20):
        await asyncio.sleep(0.02)
        slowest, last = max(slowest, time.monotonic() - last), time.monotonic()
    await bench.cancel(started)
    job = await running

    assert slowest < 3, "the loop was blocked"
    assert job.status is JobStatus.CANCELLED
    assert await bench.found("content") == set()
    assert await bench.scalar("SELECT count(*) FROM intent") == 0


async def test_a_file_that_changes_while_it_is_read_is_compared_anew(
    bench: Bench, tmp_path: Path, monkeypatch
) -> None:
    path, blank = tmp_path / "a.txt", " " * BLOCK  # too long to be read in one go
    path.write_text("first content" + blank)

    def late(path: Path) -> Iterable[str]:
        path.write_text("second content, longer" + blank)
        text = "".join(read_text(path))
        path.write_text("first content" + blank)
        return [text]

    bench.script.items = lambda cursor: listed(cursor, file_of(path, "a"))
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(loading, "read_text", late)
        await bench.sync()
    again = await bench.sync()

    assert again.counts.updated == 1
    assert [hit.text for hit in await bench.search("content")] == ["first content"]


def odd_folder(root: Path) -> None:
    """Everything that a file system can hold."""
    for name in (
        b"caf\xe9.md",
        b"new\nline.md",
        b"\xf0\x9f\xa6\x89.md",
        b"a\\b.md",
        b"x" * 252 + b".md",
        b"-rf.md",
        b" .md",
    ):
        (root / os.fsdecode(name)).write_text("folder content\n")
    os.mkfifo(root / "pipe.md")
    (root / "loop.md").symlink_to(root / "loop.md")
    (root / "around").symlink_to(root)
    (root / "dangling.md").symlink_to(root / "nothing")
    (root / "folder.md").mkdir()
    (root / "binary.txt").write_bytes(b"\x00\x01content")
    (root / "damaged.md").write_bytes("gute Gr\u00fc\u00dfe content".encode("latin-1"))
    (root / "old.md").write_text("content\n")
    os.utime(root / "old.md", (-10_000_000_000, -10_000_000_000))


@pytest.mark.parametrize("follow", [False, True])
async def test_a_folder_of_odd_files_is_listed_to_its_end(
    bench: Bench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    follow: bool,
) -> None:
    root = tmp_path / "odd"
    root.mkdir()
    odd_folder(root)
    monkeypatch.chdir(root)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.md")
        await _through_file_system(bench, root, follow=follow)


async def _through_file_system(bench: Bench, root: Path, *, follow: bool) -> None:
    source = FileSystemSource.create({"path": str(root), "follow_symlinks": follow}, {})

    async def items(_cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        async for item in source.read(None):
            yield item
            if isinstance(item, Shown) and item.entity.name == "new\nline.md":
                (root / "new\nline.md").unlink(missing_ok=True)  # after it was listed

    bench.script.items = items
    job = await bench.sync()

    assert job.status is JobStatus.COMPLETED, job.error
    failed = {
        row.source_id: row.reason
        for row in await bench.rows("SELECT source_id, reason FROM job_failure")
    }
    assert failed.keys() == {"binary.txt", "new\nline.md"}
    assert "holds binary data" in failed["binary.txt"]
    assert "No such file" in failed["new\nline.md"]
    assert job.counts.inserted == 8
    assert len(await bench.found("content")) == 8

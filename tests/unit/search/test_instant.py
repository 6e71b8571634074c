"""A search shows what is committed, all of it, once, whatever the index holds."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import numpy as np
import pytest

from wellhead.domain.chunks import Hit, Vectors
from wellhead.domain.embedding import Embedders
from wellhead.domain.entities import Access, Breadcrumb, entity_key
from wellhead.domain.errors import (
    EntityError,
    InvalidInputError,
    RetryableError,
    SyncError,
    UnavailableError,
)
from wellhead.domain.filters import FilterGroup, Operator, condition
from wellhead.domain.ports import Index, Scope
from wellhead.domain.principals import Principal
from wellhead.domain.search import InstantQuery, SearchResult, Strategy
from wellhead.search import instant

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYWORD, SEMANTIC = Strategy.KEYWORD, Strategy.SEMANTIC
ANN = Principal(("ann", "staff"))
ANN_AND_UNLISTED = Principal(("ann", "staff"), sees_unlisted=True)


@dataclass
class ScriptedIndex:
    """Answers both legs from a list, and notes what it was asked."""

    semantic_hits: Sequence[Hit] = ()
    keyword_hits: Sequence[Hit] = ()
    on_open: Callable[[], Awaitable[None]] | None = None
    keyword_error: Exception | None = None
    asked: list[int] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)

    async def reader(self, collection_id: UUID) -> "ScriptedIndex":
        if self.on_open:
            await self.on_open()
        return self

    async def semantic(self, vector: Vectors, k: int, scope: Scope) -> list[Hit]:
        self.scopes.append(scope)
        return list(self.semantic_hits[:k])

    async def keyword(self, query: str, k: int, scope: Scope) -> list[Hit]:
        self.asked.append(k)
        if self.keyword_error:
            raise self.keyword_error
        return list(self.keyword_hits[:k])


@dataclass
class ConstantEmbedder:
    """Says the same of every text, or raises."""

    error: SyncError | None = None
    name: str = "constant"
    dimension: int = 64
    chunk_characters: int = 100

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return np.ones((len(texts), 64), dtype=np.float32).data

    async def embed_query(self, text: str) -> Vectors:
        if self.error:
            raise self.error
        return await self.embed([text])

    async def close(self) -> None: ...


def hit(
    connection_id: UUID,
    name: str,
    version: int,
    *,
    ordinal: int = 0,
    score: float = 1.0,
) -> Hit:
    key = entity_key("File", name)
    return Hit(version, ordinal, connection_id, key, f"text of {name}", score)


async def find(
    ledger: Any,
    index: ScriptedIndex,
    *,
    embedder: ConstantEmbedder | None = None,
    **query: Any,
) -> list[SearchResult]:
    asked: dict[str, Any] = {"query": "q", "strategy": KEYWORD}
    return await instant.search(
        ledger.reads,
        cast("Index", index),
        Embedders(embedder or ConstantEmbedder()),
        InstantQuery(collection_id=ledger.collection_id, **asked | query),
    )


async def names(ledger: Any, *hits: Hit, **query: Any) -> list[str]:
    index = ScriptedIndex(keyword_hits=hits)
    return [result.name for result in await find(ledger, index, **query)]


async def test_a_result_tells_what_the_ledger_knows(ledger: Any) -> None:
    files = await ledger.connection()
    job = await ledger.job(files)
    await ledger.entity(
        files,
        "a.md",
        7,
        inserted_by=job,
        created_at="2026-03-01T12:00:00Z",
        updated_at=None,
        breadcrumbs=[["d1", "Docs", "Folder"]],
        url="https://example.com/a",
        download_url="https://example.com/a.bin",
        viewers=["ann"],
        is_public=False,
        raw={"size": 3},
    )
    index = ScriptedIndex(keyword_hits=[hit(files, "a.md", 7, ordinal=2, score=4.5)])

    assert await find(ledger, index) == [
        SearchResult(
            entity_id="a.md__chunk_2",
            name="a.md",
            relevance_score=4.5,
            breadcrumbs=(Breadcrumb("d1", "Docs", "Folder"),),
            created_at=NOON,
            updated_at=None,
            text="text of a.md",
            source_name="files",
            entity_type="File",
            sync_id=files,
            sync_job_id=job,
            chunk_index=2,
            original_entity_id="a.md",
            access=Access(viewers=("ann",), is_public=False),
            web_url="https://example.com/a",
            url="https://example.com/a.bin",
            raw={"size": 3},
            version=7,
        )
    ]


async def test_only_the_live_version_is_shown(ledger: Any) -> None:
    files = await ledger.connection()
    await ledger.entity(files, "a", 2)

    found = await find(
        ledger,
        ScriptedIndex(
            keyword_hits=[
                hit(files, "a", 3, score=3.0),  # appended, not yet committed
                hit(files, "a", 1, score=2.0),  # replaced, not yet collected
                hit(files, "a", 2, score=1.0),
            ]
        ),
    )
    assert [result.relevance_score for result in found] == [1.0]


async def test_an_entity_that_was_never_committed_is_hidden(ledger: Any) -> None:
    files = await ledger.connection()

    assert await names(ledger, hit(files, "a", 1)) == []


@pytest.mark.parametrize("table", ["source_connection", "collection"])
async def test_what_is_being_deleted_is_hidden(ledger: Any, table: str) -> None:
    files = await ledger.connection()
    await ledger.entity(files, "a", 1)
    assert await names(ledger, hit(files, "a", 1)) == ["a"]

    await ledger.execute(f"UPDATE {table} SET is_deleting = true")  # noqa: S608
    assert await names(ledger, hit(files, "a", 1)) == []


@pytest.mark.parametrize(
    ("rollback", "shown"), [("none", ["a"]), ("pending", []), ("done", ["a"])]
)
async def test_what_a_cancelled_job_inserted_is_hidden_until_rolled_back(
    ledger: Any, rollback: str, shown: list[str]
) -> None:
    files = await ledger.connection()
    job = await ledger.job(files, rollback=rollback)
    await ledger.entity(files, "a", 1, inserted_by=job)

    assert await names(ledger, hit(files, "a", 1)) == shown


async def test_another_collection_is_never_shown(ledger: Any) -> None:
    elsewhere = await ledger.connection(collection_id=await ledger.collection(uuid4()))
    await ledger.entity(elsewhere, "a", 1)

    assert await names(ledger, hit(elsewhere, "a", 1)) == []


async def test_a_connection_does_not_vouch_for_another(ledger: Any) -> None:
    files, other = await ledger.connection(), await ledger.connection()
    await ledger.entity(files, "a", 1)

    assert await names(ledger, hit(other, "a", 1)) == []


async def test_the_index_is_told_what_to_leave_out(ledger: Any) -> None:
    files, going = await ledger.connection(), await ledger.connection(is_deleting=True)
    job = await ledger.job(files, rollback="pending")
    elsewhere = await ledger.connection(collection_id=await ledger.collection(uuid4()))
    await ledger.job(elsewhere, rollback="pending")
    only = (FilterGroup((condition("name", Operator.EQUALS, "a"),)),)
    index = ScriptedIndex()

    await find(ledger, index, strategy=SEMANTIC, filter=only)
    assert index.scopes == [Scope(only, [going], [job])]


async def test_a_commit_after_the_snapshot_changes_nothing(ledger: Any) -> None:
    files = await ledger.connection()
    await ledger.entity(files, "a", 1)
    index = ScriptedIndex(
        keyword_hits=[hit(files, "a", 2, ordinal=5), hit(files, "a", 1)],
        on_open=lambda: ledger.execute("UPDATE entity SET version = 2"),
    )

    during = await find(ledger, index)
    after = await find(ledger, index)
    assert [result.entity_id for result in during] == ["a__chunk_0"]
    assert [result.entity_id for result in after] == ["a__chunk_5"]


async def test_a_page_fills_up_behind_dead_hits(ledger: Any) -> None:
    files = await ledger.connection()
    await ledger.entity(files, "a", 1)
    dead = [hit(files, "dead", 2, ordinal=n) for n in range(1000)]
    live = [hit(files, "a", 1, ordinal=n) for n in range(150)]
    index = ScriptedIndex(keyword_hits=[*dead, *live])

    assert len(await find(ledger, index, limit=100)) == 100
    assert index.asked == [120, 240, 480, 960, 1920]


async def test_a_search_gives_up_at_ten_thousand_hits(ledger: Any) -> None:
    files = await ledger.connection()
    await ledger.entity(files, "a", 1)
    dead = [hit(files, "dead", n) for n in range(10_000)]
    index = ScriptedIndex(keyword_hits=[*dead, hit(files, "a", 1)])

    assert await find(ledger, index, limit=1000, offset=50_000) == []
    assert await find(ledger, index) == []
    assert index.asked == [10_000, 120, 240, 480, 960, 1920, 3840, 7680, 10_000]


@pytest.mark.parametrize("strategy", list(Strategy))
async def test_pages_add_up_to_the_whole(ledger: Any, strategy: Strategy) -> None:
    files = await ledger.connection()
    await ledger.entity(files, "a", 1)
    shuffled = np.random.default_rng(1).permutation
    semantic, keyword = (
        [
            # every third hit is of a version that is gone
            hit(files, "a", int(n % 3 > 0), ordinal=int(n), score=-float(rank))
            for rank, n in enumerate(shuffled(900))
        ]
        for _ in range(2)
    )
    index = ScriptedIndex(semantic, keyword)

    whole = await find(ledger, index, strategy=strategy, limit=1000)
    paged = [
        result.chunk_index
        for offset in range(0, 700, 70)
        for result in await find(
            ledger, index, strategy=strategy, limit=70, offset=offset
        )
    ]
    assert paged == [result.chunk_index for result in whole]
    assert sorted(paged) == [n for n in range(900) if n % 3 > 0]


@pytest.mark.parametrize(
    ("access", "principal", "is_shown"),
    [
        ({"viewers": ["ann", "bob"]}, ANN, True),
        ({"viewers": ["staff"]}, ANN, True),
        ({"viewers": ["an", "anna", "Ann"]}, ANN, False),
        ({"viewers": ["an", "anna", "Ann"]}, ANN_AND_UNLISTED, False),
        ({"viewers": [], "is_public": True}, ANN, True),
        ({"viewers": None, "is_public": True}, ANN, True),
        ({"viewers": [], "is_public": None}, ANN_AND_UNLISTED, False),
        ({"viewers": None, "is_public": False}, ANN_AND_UNLISTED, False),
        ({"viewers": ["bob"], "is_public": False}, ANN, False),
        ({"viewers": None, "is_public": None}, ANN, False),
        ({"viewers": None, "is_public": None}, ANN_AND_UNLISTED, True),
        ({}, ANN, False),
        ({}, ANN_AND_UNLISTED, True),
        ({"viewers": ["bob"], "is_public": False}, None, True),
    ],
)
async def test_a_principal_sees_what_names_it_or_is_public(
    ledger: Any, access: dict[str, Any], principal: Principal | None, is_shown: bool
) -> None:
    """In the ledger; the index is one that lets everything pass."""
    files = await ledger.connection()
    await ledger.entity(files, "a", 1, **access)

    found = await names(ledger, hit(files, "a", 1), principal=principal)
    assert bool(found) is is_shown
    if principal is not None:
        told = Access(access.get("viewers"), access.get("is_public"))
        assert principal.may_see(told) is is_shown


async def test_the_others_on_an_access_list_are_not_shown(ledger: Any) -> None:
    files = await ledger.connection()
    await ledger.entity(files, "a", 1, viewers=["ann", "bob", "staff"])
    index = ScriptedIndex(keyword_hits=[hit(files, "a", 1)])

    [found] = await find(ledger, index, principal=ANN)
    assert found.access == Access(viewers=("ann", "staff"))


async def test_scores_tell_a_principal_nothing_of_what_it_may_not_see(
    ledger: Any,
) -> None:
    """How rare a word is in all texts is in the scores of keyword search."""
    files = await ledger.connection()
    await ledger.entity(files, "a", 1, viewers=["ann"])
    scores = []
    for score in (3.5, 7.25):
        index = ScriptedIndex(keyword_hits=[hit(files, "a", 1, score=score)])
        [found] = await find(ledger, index, principal=ANN)
        scores.append(found.relevance_score)

    assert scores == [1.0, 1.0]


async def test_a_chunk_that_both_legs_find_twice_is_shown_once(ledger: Any) -> None:
    files = await ledger.connection()
    await ledger.entity(files, "a", 1)
    twice = [hit(files, "a", 1), hit(files, "a", 1)]

    found = await find(ledger, ScriptedIndex(twice, twice), strategy=Strategy.HYBRID)
    assert [result.relevance_score for result in found] == [1.0]


async def test_dead_hits_take_no_ranks_from_live_ones(ledger: Any) -> None:
    files = await ledger.connection()
    await ledger.entity(files, "a", 1)
    leg = [hit(files, "dead", 9, score=2.0), hit(files, "a", 1)]

    found = await find(ledger, ScriptedIndex(leg, leg), strategy=Strategy.HYBRID)
    assert [result.relevance_score for result in found] == [1.0]


async def test_equal_scores_always_come_in_the_same_order(ledger: Any) -> None:
    files = await ledger.connection()
    for version, name in enumerate("abc"):
        await ledger.entity(files, name, version)
    hits = [hit(files, name, version) for version, name in enumerate("abc")]

    assert await names(ledger, *hits) == await names(ledger, *reversed(hits))


@pytest.mark.parametrize("query", ["", "  \n\t"])
async def test_a_blank_query_is_refused(ledger: Any, query: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await find(ledger, ScriptedIndex(), query=query)

    assert caught.value.field == "query"


@pytest.mark.parametrize("strategy", [Strategy.HYBRID, SEMANTIC])
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RetryableError("down"), UnavailableError),
        (EntityError("too long"), InvalidInputError),
    ],
)
async def test_trouble_with_the_embedder_is_told(
    ledger: Any, strategy: Strategy, error: SyncError, told: type[Exception]
) -> None:
    with pytest.raises(told, match="embedder constant"):
        await find(
            ledger, ScriptedIndex(), embedder=ConstantEmbedder(error), strategy=strategy
        )


async def test_keyword_search_works_without_the_embedder(ledger: Any) -> None:
    files = await ledger.connection()
    await ledger.entity(files, "a", 1)
    away = ConstantEmbedder(RetryableError("down"))

    assert await names(ledger, hit(files, "a", 1), embedder=away) == ["a"]


async def test_a_search_that_takes_too_long_is_unavailable(
    ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instant, "TIMEOUT_SECONDS", 0.3)
    stuck = ScriptedIndex(on_open=asyncio.Event().wait)  # type: ignore[arg-type]

    with pytest.raises(UnavailableError, match="longer than"):
        await find(ledger, stuck)


async def test_the_error_of_one_leg_is_told_as_it_is(ledger: Any) -> None:
    files = await ledger.connection()
    index = ScriptedIndex([hit(files, "a", 1)], keyword_error=OSError("disk gone"))

    with pytest.raises(OSError, match="disk gone"):
        await find(ledger, index, strategy=Strategy.HYBRID)

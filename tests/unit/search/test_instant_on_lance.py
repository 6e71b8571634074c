"""A search through the real index and the real ledger shows what both agree on."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from wellhead.domain.chunks import EntityChunks, text_hash
from wellhead.domain.embedding import Embedders
from wellhead.domain.entities import entity_key
from wellhead.domain.filters import FilterGroup, Operator, condition
from wellhead.domain.search import InstantQuery, SearchResult, Strategy
from wellhead.embed.null import NullEmbedder
from wellhead.index.lance import LanceIndex
from wellhead.search.instant import search


class OwnEmbedder(NullEmbedder):
    """The one that the ledger's collections are of, as far as that says."""

    name = "constant"


EMBEDDER = OwnEmbedder(64)


@dataclass
class Library:
    """A collection with one connection, in the ledger and in the index."""

    ledger: Any
    index: LanceIndex
    files: UUID
    job: UUID

    async def append(
        self, name: str, version: int, *texts: str, job: UUID | None = None
    ) -> None:
        """Append without a commit."""
        chunks = EntityChunks(
            version=version,
            connection_id=self.files,
            inserted_by=job or self.job,
            job_id=job or self.job,
            entity_key=entity_key("File", name),
            entity_type="File",
            source_name="files",
            source_id=name,
            name=name,
            created_at=None,
            updated_at=None,
            breadcrumbs=(),
            texts=texts,
            text_hashes=[text_hash(text) for text in texts],
            vectors=await EMBEDDER.embed(texts),
        )
        await self.index.append(self.ledger.collection_id, EMBEDDER.dimension, [chunks])

    async def add(
        self, name: str, version: int, *texts: str, job: UUID | None = None
    ) -> None:
        await self.append(name, version, *texts, job=job)
        await self.ledger.entity(self.files, name, version, inserted_by=job or self.job)

    async def find(self, query: str, **more: Any) -> list[SearchResult]:
        asked = InstantQuery(
            collection_id=self.ledger.collection_id, query=query, **more
        )
        return await search(self.ledger.reads, self.index, Embedders(EMBEDDER), asked)

    async def ids(self, query: str, **more: Any) -> list[str]:
        return [result.entity_id for result in await self.find(query, **more)]


@pytest.fixture
async def library(ledger: Any, tmp_path: Path) -> AsyncIterator[Library]:
    index = await LanceIndex.open(tmp_path)
    files = await ledger.connection()
    yield Library(ledger, index, files, await ledger.job(files))
    await index.close()


@pytest.mark.parametrize("strategy", list(Strategy))
async def test_a_collection_without_an_index_has_no_results(
    library: Library, strategy: Strategy
) -> None:
    assert await library.find("wing", strategy=strategy) == []


@pytest.mark.parametrize("strategy", list(Strategy))
async def test_the_text_that_was_asked_for_comes_first(
    library: Library, strategy: Strategy
) -> None:
    await library.add("a", 1, "the lift of a wing", "boundary layers")
    await library.add("b", 2, "heat in composite slabs")

    first, *_ = await library.find("boundary layers", strategy=strategy)
    assert (first.entity_id, first.text) == ("a__chunk_1", "boundary layers")
    if strategy is not Strategy.KEYWORD:
        assert first.relevance_score == pytest.approx(1.0)


@pytest.mark.parametrize("strategy", list(Strategy))
async def test_only_committed_versions_are_found(
    library: Library, strategy: Strategy
) -> None:
    await library.append("a", 1, "wing, first version")
    await library.add("a", 2, "wing, second version")
    await library.append("a", 3, "wing, not committed")
    await library.append("b", 4, "wing, never committed")

    found = await library.find("wing", strategy=strategy)
    assert [result.text for result in found] == ["wing, second version"]


async def test_a_page_fills_up_behind_versions_that_are_gone(library: Library) -> None:
    for version in range(1, 5):
        await library.append("gone", version, *["wing"] * 200)
    await library.add("a", 9, *(f"a wing of {n} metres" for n in range(30)))

    found = await library.ids("wing", limit=25)
    assert len(set(found)) == 25


async def test_what_is_rolled_back_disappears_at_once(library: Library) -> None:
    cancelled = await library.ledger.job(library.files, rollback="pending")
    await library.add("a", 1, "wing")
    await library.add("b", 2, "wing", job=cancelled)

    assert await library.ids("wing") == ["a__chunk_0"]


async def test_what_is_being_deleted_disappears_at_once(library: Library) -> None:
    await library.add("a", 1, "wing")
    assert await library.ids("wing") == ["a__chunk_0"]

    await library.ledger.execute("UPDATE source_connection SET is_deleting = true")
    assert await library.ids("wing") == []


async def test_a_filter_reaches_the_index(library: Library) -> None:
    await library.add("a", 1, "wing")
    await library.add("b", 2, "wing")
    only_b = (FilterGroup((condition("name", Operator.EQUALS, "b"),)),)

    assert await library.ids("wing", filter=only_b) == ["b__chunk_0"]


async def test_pages_of_the_real_index_add_up_to_the_whole(library: Library) -> None:
    texts = [
        f"wing {'lift ' * (n % 7)}{'drag ' * (n % 5)}number {n}" for n in range(240)
    ]
    await library.add("a", 1, *texts)

    whole = await library.ids("wing lift drag", limit=1000)
    paged = [
        found
        for offset in range(0, 250, 35)
        for found in await library.ids("wing lift drag", limit=35, offset=offset)
    ]
    assert paged == whole
    assert len(set(paged)) == 240


async def test_what_is_rewritten_meanwhile_is_found_exactly_once(
    library: Library,
) -> None:
    for name in "abc":
        await library.add(name, ord(name), "wing")

    async def rewrite() -> None:
        for version in range(1000, 1040):
            name = "abc"[version % 3]
            await library.append(name, version, "wing")
            await library.ledger.execute(
                f"UPDATE entity SET version = {version} WHERE source_id = '{name}'"  # noqa: S608
            )

    rewriting = asyncio.create_task(rewrite())
    while not rewriting.done():
        found = await library.ids("wing")
        assert sorted(found) == ["a__chunk_0", "b__chunk_0", "c__chunk_0"]
    await rewriting


@pytest.mark.parametrize(
    "query",
    [
        "?!…—“”*",
        '"unbalanced AND (OR NOT: ~^[',
        "wing " * 2000,
        "w" * 10_000,
        "🛩️👩‍🚀",
        "机翼的升力",
        "nul\x00 and half a pair \ud83d",
        "' OR 1=1; --",
        "%(name)s :name ${name}",
    ],
)
async def test_no_query_is_an_error(library: Library, query: str) -> None:
    await library.add("a", 1, "wing")

    for strategy in Strategy:
        assert await library.ids(query, strategy=strategy) in ([], ["a__chunk_0"])


async def test_two_collections_do_not_mix(library: Library) -> None:
    await library.add("a", 1, "wing")
    elsewhere = await library.ledger.collection(uuid4())
    asked = InstantQuery(collection_id=elsewhere, query="wing")

    assert (
        await search(library.ledger.reads, library.index, Embedders(EMBEDDER), asked)
        == []
    )

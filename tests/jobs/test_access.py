"""What a source says of who may see its entities, from one job to the next."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.jobs.test_upkeep import CountingEmbedder

from wellhead.domain.entities import Access, Entity
from wellhead.domain.items import Item, ScopeEnd, ScopeStart, Upsert
from wellhead.domain.principals import Principal

ANN, EVE = Principal(("user:ann",)), Principal(("user:eve", "group:staff"))
TO_ANN = Access(viewers=("user:ann",), is_public=False)
TO_EVE = Access(viewers=("group:staff",), is_public=False)


@dataclass
class Papers:
    """A source whose versions tell of contents only."""

    access: dict[str, Access] = field(default_factory=dict)
    version: str | None = "1"

    async def listing(self, _: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        for name, access in self.access.items():
            yield Upsert(
                Entity(
                    type="Paper",
                    source_id=name,
                    name=name,
                    text=f"content of {name}",
                    source_version=self.version,
                    access=access,
                )
            )
        yield ScopeEnd()


@pytest.fixture
def papers(bench) -> Papers:
    made = Papers()
    bench.script.items = made.listing
    return made


@pytest.mark.parametrize("version", ["1", None])
async def test_a_change_of_access_counts_from_the_next_sync_on(
    bench, papers: Papers, version: str | None
) -> None:
    """Also where the source's version stays the same, and without embedding anew."""
    embedder = CountingEmbedder()
    bench.desk = replace(bench.desk, parts=replace(bench.parts, embedder=embedder))
    papers.version = version
    papers.access = {"a": TO_ANN, "b": TO_ANN}
    await bench.sync()
    assert await bench.found("content", ANN) == {"a", "b"}
    assert await bench.found("content", EVE) == set()
    embedded = len(embedder.texts)

    papers.access["a"] = TO_EVE
    assert await bench.found("content", ANN) == {"a", "b"}, "until the next sync"
    job = await bench.sync()

    assert await bench.found("content", ANN) == {"b"}
    assert await bench.found("content", EVE) == {"a"}
    assert (job.counts.updated, job.counts.kept) == (1, 1)
    assert len(embedder.texts) == embedded


async def test_the_order_of_a_list_is_no_change(bench, papers: Papers) -> None:
    papers.access = {"a": Access(viewers=("user:ann", "user:eve"))}
    await bench.sync()
    papers.access = {"a": Access(viewers=("user:eve", "user:ann"))}

    job = await bench.sync()
    assert (job.counts.updated, job.counts.kept) == (0, 1)


async def test_a_source_that_says_nothing_any_more_shows_nothing(
    bench, papers: Papers
) -> None:
    papers.access = {"a": Access(is_public=True)}
    await bench.sync()
    assert await bench.found("content", ANN) == {"a"}
    papers.access = {"a": Access()}

    await bench.sync()
    assert await bench.found("content", ANN) == set()
    anything = replace(ANN, sees_unlisted=True)
    assert await bench.found("content", anything) == {"a"}

"""What a source says of who may see its entities, from one job to the next."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.jobs.test_upkeep import CountingEmbedder

from wellhead.domain.entities import Access, Blob, Entity
from wellhead.domain.errors import EntityError
from wellhead.domain.items import Item, ScopeEnd, ScopeStart, Upsert
from wellhead.domain.principals import Principal

ANN, EVE = Principal(("user:ann",)), Principal(("user:eve", "group:staff"))
TO_ANN = Access(viewers=("user:ann",), is_public=False)
TO_EVE = Access(viewers=("group:staff",), is_public=False)


def _broken() -> Path:
    raise EntityError("it cannot be read")


@dataclass
class Papers:
    """A source whose versions tell of contents only."""

    access: dict[str, Access] = field(default_factory=dict)
    version: str | None = "1"
    is_broken: bool = False

    async def listing(self, _: Any) -> AsyncIterator[Item]:
        yield ScopeStart()
        for name, access in self.access.items():
            yield Upsert(
                Entity(
                    type="Paper",
                    source_id=name,
                    name=name,
                    text=None if self.is_broken else f"content of {name}",
                    blob=Blob(name="a.md", size=1, open=_broken)
                    if self.is_broken
                    else None,
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


ALL = Access(is_public=True)
NOBODY = Access(viewers=(), is_public=False)
BOTH = Access(viewers=("user:ann", "group:staff"), is_public=False)


@pytest.mark.parametrize(
    ("before", "now", "ann", "eve"),
    [
        (TO_ANN, TO_EVE, False, False),
        (BOTH, TO_EVE, False, True),
        (ALL, TO_ANN, True, False),
        (ALL, NOBODY, False, False),
        (ALL, Access(), False, False),
        (TO_ANN, ALL, True, False),
        (TO_ANN, BOTH, True, False),
        (TO_ANN, Access(), False, False),
        (BOTH, BOTH, True, True),
    ],
)
async def test_who_lost_access_is_shut_out_though_the_new_content_cannot_be_read(
    bench, papers: Papers, before: Access, now: Access, *, ann: bool, eve: bool
) -> None:
    """What is shown then is the old content, so nobody new is let in either."""
    papers.access = {"a": before}
    await bench.sync()
    papers.access, papers.is_broken, papers.version = {"a": now}, True, "2"
    job = await bench.sync()

    assert (job.counts.failed, job.counts.updated) == (1, 0)
    assert bool(await bench.found("content", ANN)) is ann
    assert bool(await bench.found("content", EVE)) is eve
    assert await bench.found("content") == {"a"}

    papers.is_broken, papers.version = False, "3"
    await bench.sync()
    assert bool(await bench.found("content", ANN)) is ANN.may_see(now)
    assert bool(await bench.found("content", EVE)) is EVE.may_see(now)


@pytest.mark.parametrize(
    ("now", "found"),
    [(ALL, {"a"}), (Access(), {"a"}), (TO_EVE, set()), (NOBODY, set())],
)
async def test_what_was_never_told_is_shown_to_no_more_and_restricted_to_nobody(
    bench, papers: Papers, now: Access, found: set[str]
) -> None:
    papers.access = {"a": Access()}
    await bench.sync()
    papers.access, papers.is_broken, papers.version = {"a": now}, True, "2"
    await bench.sync()

    assert await bench.found("content", ANN) == set()
    assert await bench.found("content", replace(ANN, sees_unlisted=True)) == found
    assert await bench.found("content", EVE) == set()
    assert await bench.found("content") == {"a"}

"""What a search asks and what it answers."""

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from wellhead.domain.entities import Access, Breadcrumb
from wellhead.domain.filters import Filter
from wellhead.domain.principals import Principal


class Strategy(StrEnum):
    """Which legs of the index answer; values as on the wire."""

    HYBRID = "hybrid"
    SEMANTIC = "semantic"
    KEYWORD = "keyword"


class WithoutVector(StrEnum):
    """What a search by meaning does where nobody can make a vector of its question."""

    REFUSE = "refuse"
    """Somebody chose it so."""
    BY_WORDS = "by words"
    """A model chose it: words are better than nothing."""
    UNRANKED = "unranked"
    """All that passes the filter is wanted, in whatever order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstantQuery:
    """One search of one collection, without a language model.

    With a `principal`, only entities are found that it may see; None sees everything.
    """

    collection_id: UUID
    query: str
    strategy: Strategy = Strategy.HYBRID
    filter: Filter = ()
    limit: int = 100
    offset: int = 0
    principal: Principal | None = None
    is_grouped: bool = False
    """Whether only the best chunk of each entity is shown."""
    recency: "Recency | None" = None
    context: int = 0
    """So many chunks before and after each are shown with it."""
    without_vector: WithoutVector = WithoutVector.REFUSE


@dataclass(frozen=True, slots=True)
class Recency:
    """How much age counts against a result: with a bias of 1 nothing else weighs more.

    What was last changed `HALF_LIFE` ago counts as half as fresh, what has no date as
    not fresh at all. An answer's pages agree if they are asked for on the same day.
    """

    bias: float
    now: datetime

    @classmethod
    def of(cls, bias: float | None, now: datetime) -> "Recency | None":
        """Return what a bias means; None where age is to be nothing."""
        return cls(bias, now) if bias else None

    def share_kept(self, changed_at: datetime | None) -> float:
        """Return the share of its score that a result keeps, from 1 - bias to 1."""
        today = self.now.replace(hour=0, minute=0, second=0, microsecond=0)
        if changed_at is None:
            return 1 - self.bias
        age = max(today - changed_at, timedelta(0))
        return 1 - self.bias * (1 - math.exp2(-(age / HALF_LIFE)))


HALF_LIFE = timedelta(days=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """One chunk of a committed entity, with what the ledger knows of the entity.

    `relevance_score` compares only within one answer: for hybrid 1.0 is first in every
    leg, for semantic it is the cosine similarity, for keyword the BM25 score.
    """

    entity_id: str
    """The chunk's public id: `<original_entity_id>__chunk_<chunk_index>`."""
    name: str
    relevance_score: float
    breadcrumbs: tuple[Breadcrumb, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None
    text: str
    source_name: str
    entity_type: str
    sync_id: UUID
    """The source connection."""
    sync_job_id: UUID | None
    """The job that last wrote the entity; None for what was found live."""
    chunk_index: int
    original_entity_id: str
    access: Access = field(default_factory=Access)
    web_url: str = ""
    url: str | None = None
    """Where the file can be downloaded, if it is one."""
    raw: dict[str, Any] = field(default_factory=dict)
    version: int | None = None
    """The written state that the chunk is of; None for what was found live."""
    before: tuple[str, ...] = ()
    """The chunks right before it, as far as they were asked for."""
    after: tuple[str, ...] = ()

    @property
    def is_live(self) -> bool:
        """Whether its source was asked at this search, and nothing of it is stored."""
        return self.sync_job_id is None


@dataclass(frozen=True, slots=True)
class Silent:
    """A federated connection that did not answer a search, and why, in public words."""

    connection_id: UUID
    source_name: str
    why: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One page of results, and who might have added to them."""

    results: list[SearchResult]
    silent: tuple[Silent, ...] = ()
    by_words: str | None = None
    """Why it was searched by words only, where meaning was asked for, too."""

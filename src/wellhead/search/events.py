"""What an agentic search says of itself while it goes on; durations in milliseconds."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from wellhead.domain.filters import Filter
from wellhead.domain.principals import Principal
from wellhead.domain.search import Recency, SearchResult, Silent


@dataclass(frozen=True, slots=True, kw_only=True)
class AgenticQuery:
    """What a model is to look for in one collection; without a limit it decides."""

    collection_id: UUID
    query: str
    filter: Filter = ()
    thinking: bool = False
    limit: int | None = None
    principal: Principal | None = None
    is_grouped: bool = False
    recency: Recency | None = None
    context: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Thought:
    """The model replied."""

    thinking: str | None
    text: str | None
    duration_ms: int
    iteration: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """A tool was used; `stats` are those of its kind, or only `error`."""

    tool_name: str
    duration_ms: int
    iteration: int
    call_id: str
    arguments: Mapping[str, Any]
    stats: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reranking:
    """The results were put in order."""

    duration_ms: int
    model: str
    input_count: int
    output_count: int
    top_score: float
    bottom_score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """What a whole search took."""

    total_iterations: int = 0
    all_seen_entity_ids: list[str] = field(default_factory=list)
    all_read_entity_ids: list[str] = field(default_factory=list)
    all_collected_entity_ids: list[str] = field(default_factory=list)
    max_iterations_hit: bool = False
    total_llm_retries: int = 0
    stagnation_nudges_sent: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The search is over."""

    results: list[SearchResult]
    duration_ms: int
    diagnostics: Diagnostics
    silent: tuple[Silent, ...] = ()
    by_words: str | None = None
    """Why it was searched by words only."""


Event = Thought | ToolUse | Reranking | Done
Tell = Callable[[Event], Awaitable[None]]
"""Is told what happens, as it happens."""

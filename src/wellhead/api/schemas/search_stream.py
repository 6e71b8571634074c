"""The events of a streamed search as the public contract shows them."""

from collections.abc import Mapping
from typing import Any, Literal, Self, assert_never

from pydantic import BaseModel, Field

from wellhead.api.schemas.search import (
    AgenticSearchRequest,
    FilterGroup,
    MissingSource,
    SearchResult,
)
from wellhead.search import events

ToolName = Literal[
    "search",
    "read",
    "add_to_results",
    "remove_from_results",
    "count",
    "get_children",
    "get_siblings",
    "get_parent",
    "review_results",
    "return_results_to_user",
]


class AgenticSearchStartedEvent(BaseModel):
    """The search was taken up; it repeats what was asked."""

    type: Literal["started"] = "started"
    request_id: str = Field(
        description="The id of the request, as in the header `X-Request-ID`.",
        examples=["3f8a1c52-6b1d-4f0e-9a57-2c4b8e7d9f10"],
    )
    tier: Literal["agentic"] = "agentic"
    collection_readable_id: str = Field(
        description="The collection that is searched.", examples=["my-notes"]
    )
    query: str
    thinking: bool = Field(description="Whether the model takes its time.")
    filter: list[FilterGroup] | None = Field(description="The filter, as asked.")
    limit: int | None

    @classmethod
    def of(cls, asked: AgenticSearchRequest, readable_id: str, request_id: str) -> Self:
        return cls(
            request_id=request_id,
            collection_readable_id=readable_id,
            query=asked.query,
            thinking=asked.thinking,
            filter=asked.filter,
            limit=asked.limit,
        )


class ThinkingDiagnostics(BaseModel):
    iteration: int
    prompt_tokens: int
    completion_tokens: int


class AgenticSearchThinkingEvent(BaseModel):
    """The model replied."""

    type: Literal["thinking"] = "thinking"
    thinking: str | None = Field(description="What it thought, where it tells.")
    text: str | None = Field(description="What it said besides calling tools.")
    duration_ms: int
    diagnostics: ThinkingDiagnostics


class SearchEntitySummary(BaseModel):
    """A passage that was found."""

    entity_id: str
    name: str
    entity_type: str
    source_name: str
    relevance_score: float | None


class SearchToolStats(BaseModel):
    result_count: int
    new_results: int = Field(description="Those that no tool had found before.")
    first_results: list[SearchEntitySummary]


class ReadToolStats(BaseModel):
    found: int
    not_found: int
    entities: list[SearchEntitySummary] = Field(description="The first of them.")
    context_label: str | None


class CollectToolStats(BaseModel):
    added: int
    already_collected: int
    not_found: int
    total_collected: int
    entities: list[SearchEntitySummary] = Field(description="The first of them.")


class CountToolStats(BaseModel):
    count: int = Field(description="Entities that pass the filter.", examples=[12])


class NavigateToolStats(BaseModel):
    result_count: int
    context_label: str
    first_results: list[SearchEntitySummary]


class ReviewToolStats(BaseModel):
    total_collected: int
    entity_count: int = Field(description="Different entities among them.")
    first_results: list[SearchEntitySummary]


class FinishToolStats(BaseModel):
    accepted: bool
    total_collected: int
    warning: str | None


class ErrorToolStats(BaseModel):
    error: str = Field(description="What was wrong with the call.")


ToolStats = (
    SearchToolStats
    | ReadToolStats
    | CollectToolStats
    | CountToolStats
    | NavigateToolStats
    | ReviewToolStats
    | FinishToolStats
    | ErrorToolStats
)
STATS: dict[str, type[ToolStats]] = {
    "search": SearchToolStats,
    "read": ReadToolStats,
    "add_to_results": CollectToolStats,
    "remove_from_results": CollectToolStats,
    "count": CountToolStats,
    "get_children": NavigateToolStats,
    "get_siblings": NavigateToolStats,
    "get_parent": NavigateToolStats,
    "review_results": ReviewToolStats,
    "return_results_to_user": FinishToolStats,
}


class ToolDiagnostics(BaseModel):
    iteration: int
    tool_call_id: str
    arguments: dict[str, Any] = Field(
        description="What the model asked, whether or not it was heeded.",
        examples=[{"query": "pump"}],
    )
    stats: ToolStats


class AgenticSearchToolCallEvent(BaseModel):
    """The model used a tool."""

    type: Literal["tool_call"] = "tool_call"
    tool_name: ToolName
    duration_ms: int
    diagnostics: ToolDiagnostics


class RerankingDiagnostics(BaseModel):
    input_count: int
    output_count: int
    model: str
    top_relevance_score: float
    bottom_relevance_score: float


class AgenticSearchRerankingEvent(BaseModel):
    """The results were put in order."""

    type: Literal["reranking"] = "reranking"
    duration_ms: int
    diagnostics: RerankingDiagnostics


class DoneDiagnostics(BaseModel):
    total_iterations: int
    all_seen_entity_ids: list[str]
    all_read_entity_ids: list[str]
    all_collected_entity_ids: list[str]
    max_iterations_hit: bool
    total_llm_retries: int
    stagnation_nudges_sent: int
    prompt_tokens: int
    completion_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int


class AgenticSearchDoneEvent(BaseModel):
    """The search is over; nothing follows."""

    type: Literal["done"] = "done"
    results: list[SearchResult]
    duration_ms: int
    diagnostics: DoneDiagnostics | None
    missing_sources: list[MissingSource] = Field(
        default=[], description="Sources searched live that did not answer."
    )
    fallback: str | None = Field(
        default=None, description="Why it was searched by words only, if it was."
    )


class AgenticSearchErrorEvent(BaseModel):
    """The search failed; nothing follows."""

    type: Literal["error"] = "error"
    message: str = Field(description="Why.", examples=["No LLM provider configured."])
    duration_ms: int


AgenticSearchEvent = (
    AgenticSearchStartedEvent
    | AgenticSearchThinkingEvent
    | AgenticSearchToolCallEvent
    | AgenticSearchRerankingEvent
    | AgenticSearchDoneEvent
    | AgenticSearchErrorEvent
)


def event_of(event: events.Event) -> AgenticSearchEvent:
    """Return the event as it is shown."""
    match event:
        case events.Thought():
            return AgenticSearchThinkingEvent(
                thinking=event.thinking,
                text=event.text,
                duration_ms=event.duration_ms,
                diagnostics=ThinkingDiagnostics(
                    iteration=event.iteration,
                    prompt_tokens=event.prompt_tokens,
                    completion_tokens=event.completion_tokens,
                ),
            )
        case events.ToolUse():
            return _tool_call(event)
        case events.Reranking():
            return AgenticSearchRerankingEvent(
                duration_ms=event.duration_ms,
                diagnostics=RerankingDiagnostics(
                    input_count=event.input_count,
                    output_count=event.output_count,
                    model=event.model,
                    top_relevance_score=event.top_score,
                    bottom_relevance_score=event.bottom_score,
                ),
            )
        case events.Done():
            return AgenticSearchDoneEvent(
                results=[SearchResult.of(one) for one in event.results],
                duration_ms=event.duration_ms,
                diagnostics=DoneDiagnostics.model_validate(
                    event.diagnostics, from_attributes=True
                ),
                missing_sources=[MissingSource.of(one) for one in event.silent],
                fallback=event.by_words,
            )
        case _ as never:
            assert_never(never)


def _tool_call(event: events.ToolUse) -> AgenticSearchToolCallEvent:
    return AgenticSearchToolCallEvent.model_validate(
        {
            "tool_name": event.tool_name,
            "duration_ms": event.duration_ms,
            "diagnostics": {
                "iteration": event.iteration,
                "tool_call_id": event.call_id,
                "arguments": event.arguments,
                "stats": _stats(event.tool_name, event.stats),
            },
        }
    )


def _stats(tool_name: str, stats: Mapping[str, Any]) -> ToolStats:
    """Read the stats as those of the tool: several kinds look alike."""
    kind = ErrorToolStats if "error" in stats else STATS[tool_name]
    return kind.model_validate(stats)

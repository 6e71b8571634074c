"""Searches and their results as the former search endpoint shows them."""

import math
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    TypeAdapter,
)

from wellhead.api.deps import LARGEST_PAGE, LARGEST_SKIP
from wellhead.api.schemas.search import (
    ChosenStrategy,
    FilterGroups,
    Query,
    SearchResult,
    filter_meant,
)
from wellhead.domain import filters
from wellhead.domain.errors import InvalidInputError
from wellhead.domain.filters import FIELDS, Filter, FilterGroup
from wellhead.domain.search import InstantQuery, Recency, Strategy
from wellhead.search.former_filter import translate

MOST_TOKENS = 2048
BYTES_PER_TOKEN = 4
"""What a token of English text comes to; counting them would take the vocabulary."""


class ResponseType(StrEnum):
    """What is wanted: what was found, or an answer made of it."""

    RAW = "raw"
    COMPLETION = "completion"


class Expansion(StrEnum):
    """Whether other ways to ask are tried."""

    AUTO = "auto"
    LLM = "llm"
    NO_EXPANSION = "no_expansion"


class SearchStatus(StrEnum):
    """Whether something was found; nobody here judges whether it is relevant."""

    SUCCESS = "success"
    NO_RESULTS = "no_results"


def _not_too_long(query: str) -> str:
    tokens = math.ceil(len(query.encode("utf-8", "replace")) / BYTES_PER_TOKEN)
    if tokens > MOST_TOKENS:
        raise ValueError(
            f"the query is too long: about {tokens} tokens, at {BYTES_PER_TOKEN} bytes "
            f"each, are more than {MOST_TOKENS}"
        )
    return query


def _translated(given: Any) -> Filter:
    """Read either filter language: the former one is an object, today's a list."""
    if isinstance(given, list):
        groups = TypeAdapter(FilterGroups).validate_python(given)
        return filter_meant(groups)
    try:
        return translate(given)
    except InvalidInputError as error:
        raise ValueError(error.message) from error


FormerQuery = Annotated[Query, AfterValidator(_not_too_long)]
Share = Annotated[float, Field(ge=0, le=1)]


class FormerSearch(BaseModel):
    """What both ways to ask have in common."""

    query: FormerQuery
    limit: Annotated[int, Field(ge=1, le=LARGEST_PAGE)] | None = None
    offset: Annotated[int, Field(ge=0, le=LARGEST_SKIP)] | None = None
    response_type: ResponseType | None = None
    recency_bias: Share | None = None

    def meant(self, collection_id: UUID, now: datetime) -> InstantQuery:
        return InstantQuery(
            collection_id=collection_id,
            query=self.query,
            limit=self.limit or 100,
            offset=self.offset or 0,
            recency=Recency.of(self.recency_bias, now),
        )


class FormerSearchRequest(FormerSearch):
    """The bodies that the former endpoint took: a new shape and an older one."""

    filter: Annotated[Any, BeforeValidator(_translated)] = ()
    source_connection_ids: list[UUID] | None = None
    # the newer shape
    retrieval_strategy: ChosenStrategy | None = None
    temporal_relevance: Share | None = None
    expand_query: bool | None = None
    interpret_filters: bool | None = None
    rerank: bool | None = None
    generate_answer: bool | None = None
    # the older shape, with response_type and recency_bias
    search_method: ChosenStrategy | None = None
    score_threshold: Share | None = None
    expansion_strategy: Expansion | None = None
    enable_reranking: bool | None = None
    enable_query_interpretation: bool | None = None

    @property
    def is_older(self) -> bool:
        """Whether it has more of the older shape's own fields than of the newer's."""
        return len(_OLDER & self.model_fields_set) > len(_NEWER & self.model_fields_set)

    @property
    def wants_model(self) -> bool:
        """Whether a language model has something to do; in the newer shape it does."""
        if self.is_older:
            return (
                self.response_type is ResponseType.COMPLETION
                or bool(self.enable_reranking or self.enable_query_interpretation)
                or self.expansion_strategy in (Expansion.AUTO, Expansion.LLM)
            )
        by_default = (self.expand_query, self.rerank, self.generate_answer)
        return bool(self.interpret_filters) or any(
            asked is not False for asked in by_default
        )

    def meant(self, collection_id: UUID, now: datetime) -> InstantQuery:
        chosen = self.retrieval_strategy or self.search_method
        asked = replace(
            super().meant(collection_id, now),
            strategy=chosen or Strategy.HYBRID,
            filter=self.filter,
        )
        if self.source_connection_ids is None:
            return asked
        only = filters.condition(
            "airweave_system_metadata.sync_id",
            filters.Operator.IN,
            [str(one) for one in self.source_connection_ids],
        )
        groups = asked.filter or (FilterGroup(()),)
        return replace(
            asked,
            filter=tuple(FilterGroup((*one.conditions, only)) for one in groups),
        )


_OLDER = {
    *("response_type", "recency_bias", "search_method", "score_threshold"),
    *("expansion_strategy", "enable_reranking", "enable_query_interpretation"),
}
_NEWER = {
    *("retrieval_strategy", "temporal_relevance", "expand_query"),
    *("interpret_filters", "rerank", "generate_answer", "source_connection_ids"),
}

FormerResult = dict[str, Any]


def former_result(one: SearchResult) -> FormerResult:
    """Return the result under every name that former versions gave its parts."""
    shown = one.model_dump(mode="json")
    metadata = shown["airweave_system_metadata"]
    raw, score = shown.pop("raw_source_fields"), shown.pop("relevance_score")
    return shown | {
        "id": shown["entity_id"],
        "score": score,
        "url": shown["web_url"] or shown["url"],
        "source_name": metadata["source_name"],
        "entity_type": metadata["entity_type"],
        "md_content": shown["textual_representation"],
        "system_metadata": metadata,
        "source_fields": raw,
    }


class FormerSearchResponse(BaseModel):
    results: list[FormerResult]
    completion: str | None = None


class OlderSearchResponse(FormerSearchResponse):
    response_type: ResponseType
    status: SearchStatus


def _condition_schema() -> dict[str, Any]:
    scalar = {"type": ["string", "integer", "boolean"]}
    several = {"type": "array", "items": {"type": ["string", "integer"]}}
    bound = {"type": ["string", "number"]}
    return {
        "type": "object",
        "required": ["key"],
        "properties": {
            "key": {"type": "string", "description": f"One of {', '.join(FIELDS)}."},
            "match": {
                "type": "object",
                "properties": {
                    "value": scalar,
                    "any": several,
                    "except": several,
                    "text": {"type": "string"},
                },
            },
            "range": {
                "type": "object",
                "properties": dict.fromkeys(("gt", "gte", "lt", "lte"), bound),
            },
            "is_null": {"type": "boolean"},
            "is_empty": {"type": "boolean"},
        },
    }


def filter_schema() -> dict[str, Any]:
    """Describe the former filter language as JSON Schema, for editors."""
    conditions = {
        "type": "array",
        "items": {
            "anyOf": [{"$ref": "#/$defs/FieldCondition"}, {"$ref": "#/$defs/Filter"}]
        },
    }
    clauses = {
        "must": {**conditions, "description": "All of them hold."},
        "should": {**conditions, "description": "At least one of them holds."},
        "must_not": {**conditions, "description": "None of them holds."},
        "minimum_should_match": {
            "type": "integer",
            "description": "How many of `should` hold at least.",
        },
    }
    nested = {"type": "object", "properties": clauses, "additionalProperties": False}
    return {
        **nested,
        "$defs": {"Filter": nested, "FieldCondition": _condition_schema()},
    }

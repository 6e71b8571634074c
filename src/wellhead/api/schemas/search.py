"""Searches and their results as the public contract shows them."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)

from wellhead.api.deps import LARGEST_PAGE, LARGEST_SKIP
from wellhead.api.schemas.times import Instant
from wellhead.domain import filters, search
from wellhead.domain.errors import InvalidInputError
from wellhead.domain.filters import FIELDS, Filter, Operator
from wellhead.domain.search import InstantQuery, Recency, Strategy
from wellhead.search.events import AgenticQuery

LONGEST_QUERY = 32_768
MOST_CONTEXT = 5
_VALUES = ({str}, {bool}, {int})
_LISTS: tuple[set[type], ...] = ({str}, {int}, set())


def _not_blank(query: str) -> str:
    if not query.strip():
        raise ValueError("the query must not be blank")
    return query


def _current_name(value: Any) -> Any:
    """Accept the strategy's former name."""
    return Strategy.SEMANTIC.value if value == "neural" else value


def _known_field(field: str) -> str:
    if field not in FIELDS:
        raise ValueError(f"unknown field. Known: {', '.join(FIELDS)}")
    return field


def _comparable(value: Any) -> Any:
    """Refuse in one sentence what would be refused once for each kind of value."""
    is_list = isinstance(value, list)
    kinds = {type(one) for one in value} if is_list else {type(value)}
    if kinds not in (_LISTS if is_list else _VALUES):
        raise ValueError(
            "takes text, a whole number, true or false, "
            "or a list of texts or of whole numbers"
        )
    return value


Query = Annotated[
    str,
    Field(
        max_length=LONGEST_QUERY,
        description="What to look for.",
        examples=["how to renew a certificate"],
        json_schema_extra={"pattern": r"\S"},
    ),
    AfterValidator(_not_blank),
]
ChosenStrategy = Annotated[
    Strategy,
    BeforeValidator(_current_name),
    Field(description="By meaning, by words, or both; `neural` means semantic."),
]


class FilterCondition(BaseModel):
    field: Annotated[
        str,
        AfterValidator(_known_field),
        Field(
            description="What is compared; of several breadcrumbs one is enough.",
            json_schema_extra={"enum": list(FIELDS)},
        ),
    ]
    operator: Operator = Field(
        description="How it is compared; texts are not ordered, "
        "dates and numbers contain nothing."
    )
    value: Annotated[
        StrictStr | StrictBool | StrictInt | list[StrictStr] | list[StrictInt],
        BeforeValidator(_comparable),
        Field(
            description="Dates are ISO 8601 days or times; without an offset in UTC.",
            examples=["report"],
        ),
    ]

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        try:
            self.meant()
        except InvalidInputError as error:
            raise ValueError(f"{self.field}: {error.message}") from error
        return self

    def meant(self) -> filters.Condition:
        return filters.condition(self.field, self.operator, self.value)


class FilterGroup(BaseModel):
    conditions: list[FilterCondition] = Field(
        min_length=1, description="All of them must hold."
    )


def filter_meant(groups: list[FilterGroup] | None) -> Filter:
    return tuple(
        filters.FilterGroup(tuple(one.meant() for one in group.conditions))
        for group in groups or ()
    )


def _moderate(groups: Any) -> Any:
    """Refuse what is too long before it is looked at, and refused piece by piece."""
    if not isinstance(groups, list):
        return groups
    parts = [group.get("conditions") for group in groups if isinstance(group, dict)]
    conditions = [one for part in parts if isinstance(part, list) for one in part]
    values = [one.get("value") for one in conditions if isinstance(one, dict)]
    listed = sum(len(value) for value in values if isinstance(value, list))
    try:
        filters.require_counts(max(len(groups), len(conditions)), listed)
    except InvalidInputError as error:
        raise ValueError(error.message) from error
    return groups


FilterGroups = Annotated[
    list[FilterGroup],
    BeforeValidator(_moderate),
    Field(description="Of the groups at least one must hold."),
]


class Preferences(BaseModel):
    """What every tier can be asked for besides."""

    group_by_entity: bool = Field(
        default=False,
        description="Only the best passage of each entity, so that a long one does not "
        "fill the page; limit and offset then count entities.",
    )
    recency_bias: float = Field(
        default=0,
        ge=0,
        le=1,
        description="How much age counts against a result: at 1 its score halves for "
        "each 90 days since the entity was last changed, at 0 age is nothing.",
    )
    context: int = Field(
        default=0,
        ge=0,
        le=MOST_CONTEXT,
        description="So many passages before and after each come with it.",
    )


class ClassicSearchRequest(Preferences):
    query: Query
    filter: FilterGroups | None = None
    limit: int = Field(default=100, ge=1, le=LARGEST_PAGE)
    offset: int = Field(default=0, ge=0, le=LARGEST_SKIP)

    def meant(self, collection_id: UUID, now: datetime) -> InstantQuery:
        return InstantQuery(
            collection_id=collection_id,
            query=self.query,
            filter=filter_meant(self.filter),
            limit=self.limit,
            offset=self.offset,
            is_grouped=self.group_by_entity,
            recency=Recency.of(self.recency_bias, now),
            context=self.context,
        )


class InstantSearchRequest(ClassicSearchRequest):
    retrieval_strategy: ChosenStrategy = Strategy.HYBRID

    def meant(self, collection_id: UUID, now: datetime) -> InstantQuery:
        asked = super().meant(collection_id, now)
        return replace(asked, strategy=self.retrieval_strategy)


class AgenticSearchRequest(Preferences):
    query: Query
    thinking: bool = Field(
        default=False, description="Whether the model takes its time."
    )
    filter: FilterGroups | None = None
    limit: int | None = Field(
        default=None,
        ge=1,
        description="How many to return at most; null: the model decides.",
    )

    def meant(self, collection_id: UUID, now: datetime) -> AgenticQuery:
        return AgenticQuery(
            collection_id=collection_id,
            query=self.query,
            filter=filter_meant(self.filter),
            thinking=self.thinking,
            limit=self.limit,
            is_grouped=self.group_by_entity,
            recency=Recency.of(self.recency_bias, now),
            context=self.context,
        )


class SearchBreadcrumb(BaseModel):
    entity_id: str
    name: str = Field(description="The name, for people.", examples=["Handbooks"])
    entity_type: str


class SearchSystemMetadata(BaseModel):
    source_name: str = Field(
        description="The short name of the source.", examples=["file_system"]
    )
    entity_type: str
    sync_id: str | None = None
    sync_job_id: str | None = Field(
        default=None,
        description="The job that last wrote the entity; null for what was found live.",
    )
    chunk_index: int = Field(
        description="Which passage of the entity it is, from 0.", examples=[0]
    )
    original_entity_id: str = Field(
        description="The id of the entity in its source.", examples=["docs/plan.md"]
    )


class SearchAccessControl(BaseModel):
    viewers: list[str] | None = Field(
        default=None, description="Who may see it; null if the source does not say."
    )
    is_public: bool | None = Field(
        default=None, description="Whether anyone may; null if the source does not say."
    )


class SearchContext(BaseModel):
    """The passages around one, in the order of the text."""

    before: list[str] = Field(description="Those right before it.")
    after: list[str] = Field(description="Those right after it.")


class SearchResult(BaseModel):
    """One passage of an entity."""

    entity_id: str = Field(
        description="The id of the passage.", examples=["docs/plan.md__chunk_0"]
    )
    name: str = Field(description="The name of the entity.", examples=["plan.md"])
    relevance_score: float = Field(
        description="Compares within one answer only; more is better.", examples=[0.87]
    )
    breadcrumbs: list[SearchBreadcrumb] = Field(
        description="The way to the entity, from the root of the source."
    )
    created_at: Instant | None = None
    updated_at: Instant | None = None
    textual_representation: str = Field(
        description="The passage.", examples=["The pump is serviced in May."]
    )
    airweave_system_metadata: SearchSystemMetadata
    access: SearchAccessControl
    web_url: str = Field(
        description="Where people can see it; empty if nowhere.",
        examples=["https://example.com/plan"],
    )
    url: str | None = Field(
        default=None, description="Where the file can be fetched, if it is one."
    )
    raw_source_fields: dict[str, Any] = Field(
        description="What else the source said of it.", examples=[{"size": 4096}]
    )
    context: SearchContext | None = Field(
        default=None,
        description="What is around it; only where it was asked for and is there.",
        exclude_if=lambda one: one is None,
    )

    @classmethod
    def of(cls, one: search.SearchResult) -> "SearchResult":
        viewers = one.access.viewers
        return cls(
            entity_id=one.entity_id,
            name=one.name,
            relevance_score=one.relevance_score,
            breadcrumbs=[
                SearchBreadcrumb(
                    entity_id=step.entity_id,
                    name=step.name,
                    entity_type=step.entity_type,
                )
                for step in one.breadcrumbs
            ],
            created_at=one.created_at,
            updated_at=one.updated_at,
            textual_representation=one.text,
            airweave_system_metadata=SearchSystemMetadata(
                source_name=one.source_name,
                entity_type=one.entity_type,
                sync_id=str(one.sync_id),
                sync_job_id=None if one.is_live else str(one.sync_job_id),
                chunk_index=one.chunk_index,
                original_entity_id=one.original_entity_id,
            ),
            access=SearchAccessControl(
                viewers=None if viewers is None else list(viewers),
                is_public=one.access.is_public,
            ),
            web_url=one.web_url,
            url=one.url,
            raw_source_fields=one.raw,
            context=SearchContext(before=[*one.before], after=[*one.after])
            if one.before or one.after
            else None,
        )


class MissingSource(BaseModel):
    """A source that is searched live and did not answer; the results lack its own."""

    source_connection_id: UUID
    source_name: str = Field(
        description="The short name of the source.", examples=["postgresql_search"]
    )
    why: str = Field(
        description="Why.", examples=["it did not answer within 5 seconds"]
    )

    @classmethod
    def of(cls, one: search.Silent) -> "MissingSource":
        return cls(
            source_connection_id=one.connection_id,
            source_name=one.source_name,
            why=one.why,
        )


class SearchV2Response(BaseModel):
    results: list[SearchResult] = Field(default=[], description="The best come first.")
    missing_sources: list[MissingSource] = Field(
        default=[], description="Sources searched live that did not answer."
    )

    @classmethod
    def of(
        cls, results: list[search.SearchResult], silent: tuple[search.Silent, ...]
    ) -> "SearchV2Response":
        return cls(
            results=[SearchResult.of(one) for one in results],
            missing_sources=[MissingSource.of(one) for one in silent],
        )

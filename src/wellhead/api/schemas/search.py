"""Searches and their results as the public contract shows them."""

from dataclasses import replace
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
from wellhead.domain.filters import FIELDS, Operator
from wellhead.domain.search import InstantQuery, Strategy

LONGEST_QUERY = 32_768


def _current_name(value: Any) -> Any:
    """Accept the strategy's former name."""
    return Strategy.SEMANTIC.value if value == "neural" else value


def _known_field(field: str) -> str:
    if field not in FIELDS:
        raise ValueError(f"Unknown field '{field}'. Known: {', '.join(FIELDS)}")
    return field


class FilterCondition(BaseModel):
    field: Annotated[
        str,
        AfterValidator(_known_field),
        Field(json_schema_extra={"enum": list(FIELDS)}),
    ]
    operator: Operator
    value: StrictStr | StrictBool | StrictInt | list[StrictStr] | list[StrictInt]

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
    conditions: list[FilterCondition] = Field(min_length=1)


class InstantSearchRequest(BaseModel):
    query: str = Field(pattern=r"\S", max_length=LONGEST_QUERY)
    retrieval_strategy: Annotated[Strategy, BeforeValidator(_current_name)] = (
        Strategy.HYBRID
    )
    filter: list[FilterGroup] | None = None
    limit: int = Field(default=100, ge=1, le=LARGEST_PAGE)
    offset: int = Field(default=0, ge=0, le=LARGEST_SKIP)

    def meant(self, collection_id: UUID) -> InstantQuery:
        return InstantQuery(
            collection_id=collection_id,
            query=self.query,
            strategy=self.retrieval_strategy,
            filter=tuple(
                filters.FilterGroup(tuple(one.meant() for one in group.conditions))
                for group in self.filter or ()
            ),
            limit=self.limit,
            offset=self.offset,
        )


class FormerSearchRequest(InstantSearchRequest):
    """What the former endpoint took, as far as it still changes what is found."""

    source_connection_ids: list[UUID] | None = None

    def meant(self, collection_id: UUID) -> InstantQuery:
        asked = super().meant(collection_id)
        if self.source_connection_ids is None:
            return asked
        only = filters.condition(
            "airweave_system_metadata.sync_id",
            filters.Operator.IN,
            [str(one) for one in self.source_connection_ids],
        )
        groups = asked.filter or (filters.FilterGroup(()),)
        return replace(
            asked,
            filter=tuple(
                filters.FilterGroup((*group.conditions, only)) for group in groups
            ),
        )


class SearchBreadcrumb(BaseModel):
    entity_id: str
    name: str
    entity_type: str


class SearchSystemMetadata(BaseModel):
    source_name: str
    entity_type: str
    sync_id: str | None = None
    sync_job_id: str | None = None
    chunk_index: int
    original_entity_id: str


class SearchAccessControl(BaseModel):
    viewers: list[str] | None = None
    is_public: bool | None = None


class SearchResult(BaseModel):
    entity_id: str
    name: str
    relevance_score: float
    breadcrumbs: list[SearchBreadcrumb]
    created_at: Instant | None = None
    updated_at: Instant | None = None
    textual_representation: str
    airweave_system_metadata: SearchSystemMetadata
    access: SearchAccessControl
    web_url: str
    url: str | None = None
    raw_source_fields: dict[str, Any]

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
                sync_job_id=str(one.sync_job_id),
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
        )


class SearchV2Response(BaseModel):
    results: list[SearchResult] = []

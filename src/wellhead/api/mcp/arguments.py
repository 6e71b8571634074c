"""What each tool takes, in words for the agent that fills it in."""

import json
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from wellhead.api.deps import LARGEST_SKIP
from wellhead.api.schemas.search import (
    MOST_CONTEXT,
    ChosenStrategy,
    FilterGroups,
    Query,
)
from wellhead.domain.search import Strategy

MOST_HITS = 100
MOST_LISTED = 200
MOST_CHARACTERS = 200_000
MOST_CHUNKS = 100
LARGEST_CHUNK = 2**31 - 1
"""Chunk indexes of the index are no larger."""


def _read_text(value: Any) -> Any:
    """Accept what some agents send: the filter's JSON as a text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError("the filter is no JSON") from error


Collection = Annotated[
    str,
    Field(
        min_length=1,
        description="The readable_id of a collection, as list_collections shows it.",
        examples=["my-notes-x7k2p9"],
    ),
]
Connection = Annotated[
    UUID,
    Field(description="The id of a connection, as list_source_connections shows it."),
]
Offset = Annotated[
    int,
    Field(
        ge=0,
        le=LARGEST_SKIP,
        description="How many to leave out: next_offset of the answer before.",
    ),
]
Limit = Annotated[
    int, Field(ge=1, le=MOST_LISTED, description="How many to return at most.")
]


class Arguments(BaseModel):
    """What is not known is refused: it was meant to change something."""

    model_config = ConfigDict(extra="forbid")


class Search(Arguments):
    collection: Collection
    query: Query = Field(
        description="What to look for: a question or a description in plain words, or "
        "the exact words, names or codes that the text must hold."
    )
    strategy: ChosenStrategy = Field(
        default=Strategy.HYBRID,
        description="hybrid (by meaning and by words; usually best), semantic (by "
        "meaning only), or keyword (by words only: names, numbers, error codes).",
    )
    limit: int = Field(
        default=8,
        ge=1,
        le=MOST_HITS,
        description="How many passages to return at most. Begin with few.",
    )
    offset: Offset = 0
    group_by_entity: bool = Field(
        default=False,
        description="Only the best passage of each document, to see which documents "
        "there are; limit and offset then count documents.",
    )
    recency_bias: float = Field(
        default=0,
        ge=0,
        le=1,
        description="How much age counts against a result, from 0 (nothing) to 1. "
        "Try 0.5 where the newest matters.",
    )
    context: int = Field(
        default=0,
        ge=0,
        le=MOST_CONTEXT,
        description="So many passages before and after come with each result.",
    )
    filter: Annotated[
        FilterGroups | None,
        BeforeValidator(_read_text),
        Field(
            description="Only passages that match: groups of conditions; all of a "
            "group must hold, and at least one group. Leave it out unless it is needed."
        ),
    ] = Field(
        default=None,
        examples=[
            [
                {
                    "conditions": [
                        {
                            "field": "updated_at",
                            "operator": "greater_than",
                            "value": "2026-01-31",
                        }
                    ]
                }
            ]
        ],
    )


class ReadEntity(Arguments):
    uri: str = Field(
        description="The uri of an entity, as search returned it.",
        examples=[
            "wellhead://my-notes-x7k2p9/0b9c5a52-0a32-4b2f-9c07-5b6ac1e6a0d4/"
            "FileEntity/docs%2Fplan.md"
        ],
    )
    around_chunk: int | None = Field(
        default=None,
        ge=0,
        le=LARGEST_CHUNK,
        description="Read only what is around this passage: the chunk of a hit. "
        "Without it the whole text is read.",
    )
    context: int = Field(
        default=2,
        ge=0,
        le=MOST_CHUNKS,
        description="With around_chunk: how many passages before and after it.",
    )
    from_chunk: int = Field(
        default=0,
        ge=0,
        le=LARGEST_CHUNK,
        description="Where to go on with a long text: next_chunk of the answer before.",
    )
    max_characters: int = Field(
        default=20_000,
        ge=1,
        le=MOST_CHARACTERS,
        description="How much to return at most; next_chunk then says where it goes "
        "on.",
    )

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        if self.around_chunk is not None and self.from_chunk:
            raise ValueError("give around_chunk or from_chunk, not both")
        return self

    @property
    def chunks(self) -> range:
        if self.around_chunk is None:
            return range(self.from_chunk, LARGEST_CHUNK)
        first = max(0, self.around_chunk - self.context)
        return range(first, self.around_chunk + self.context + 1)


class ListCollections(Arguments):
    search: str | None = Field(
        default=None, description="Only those with this in their name or readable_id."
    )
    limit: Limit = 50
    offset: Offset = 0


class ListSources(Arguments):
    short_name: str | None = Field(
        default=None,
        description="Only this source, with the fields that connecting it asks for.",
        examples=["file_system"],
    )


class ListConnections(Arguments):
    collection: Collection | None = Field(
        default=None, description="Only those of this collection, by its readable_id."
    )
    limit: Limit = 50
    offset: Offset = 0


class JobStatus(Arguments):
    job_id: UUID | None = Field(
        default=None, description="One job, as trigger_sync returned it."
    )
    source_connection_id: UUID | None = Field(
        default=None, description="Instead of job_id: a connection's newest job."
    )

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        if (self.job_id is None) == (self.source_connection_id is None):
            raise ValueError("give either job_id or source_connection_id")
        return self


class TriggerSync(Arguments):
    source_connection_id: Connection
    force_full: bool = Field(
        default=False,
        description="Read the whole source, not only what changed. Slower; for when "
        "something seems to be missing.",
    )

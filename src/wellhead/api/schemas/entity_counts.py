"""Entities by type as consoles of the public contract ask for them."""

from pydantic import BaseModel, Field

from wellhead.api.schemas.times import Instant


class EntityCount(BaseModel):
    """How many entities of one type a connection has."""

    count: int = Field(description="Entities that can be searched.", examples=[42])
    entity_definition_id: str = Field(
        description="The type, by its name.", examples=["File"]
    )
    entity_definition_name: str = Field(
        description="The type, as the source names it.", examples=["File"]
    )
    entity_definition_short_name: str = Field(
        description="The same.", examples=["File"]
    )
    entity_definition_description: str | None = Field(
        default=None, description="Always null.", examples=[None]
    )
    modified_at: Instant = Field(description="When one of them was last written.")


class EntityDefinition(BaseModel):
    """A type of entity that a source yields."""

    id: str = Field(description="The type, by its name.", examples=["File"])
    short_name: str = Field(description="The same.", examples=["File"])
    name: str = Field(description="The same, for people.", examples=["File"])
    description: str | None = Field(
        default=None, description="Always null.", examples=[None]
    )
    source_short_name: str = Field(
        description="The source that yields it.", examples=["file_system"]
    )

"""What models look like as forms."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from wellhead.sources.base import Config
from wellhead.sources.fields import FieldInfoRecord, fields_of


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Form(Config):
    name: str = Field(title="Name", description="Of the thing")
    key: str | None = Field(None, title="Key", json_schema_extra={"is_secret": True})
    count: int = Field(3, title="Count")
    share: float | None = Field(None, title="Share")
    is_on: bool = Field(default=False, title="On")
    tags: list[str] = Field(default_factory=list, title="Tags")
    sizes: list[int] | None = Field(None, title="Sizes")
    colour: Colour = Field(Colour.RED, title="Colour", description="Its own")
    other: Literal["a", "b"] | None = Field(None, title="Other")


def test_every_kind_of_field_is_described() -> None:
    field = FieldInfoRecord
    assert fields_of(Form) == [
        field(
            name="name",
            title="Name",
            type="string",
            required=True,
            description="Of the thing",
        ),
        field(name="key", title="Key", type="string", required=False, is_secret=True),
        field(name="count", title="Count", type="number", required=False, default=3),
        field(name="share", title="Share", type="number", required=False),
        field(name="is_on", title="On", type="boolean", required=False, default=False),
        field(
            name="tags", title="Tags", type="array", required=False, items_type="string"
        ),
        field(
            name="sizes",
            title="Sizes",
            type="array",
            required=False,
            items_type="number",
        ),
        field(
            name="colour",
            title="Colour",
            type="string",
            required=False,
            description="Its own",
            enum_values=("red", "blue"),
            default="red",
        ),
        field(
            name="other",
            title="Other",
            type="string",
            required=False,
            enum_values=("a", "b"),
        ),
    ]

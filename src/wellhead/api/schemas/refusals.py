"""What an answer says when a request was refused."""

from pydantic import BaseModel, Field


class Refusal(BaseModel):
    detail: str = Field(
        description="What is wrong, in one sentence.",
        examples=["Collection not found"],
    )


class Problem(BaseModel):
    """One thing that is wrong with what was sent."""

    loc: list[str | int] = Field(
        description="The way to the field, from `body`, `query`, `path` or `header`.",
        examples=[["body", "name"]],
    )
    msg: str = Field(
        description="What is wrong with it.",
        examples=["String should have at least 4 characters"],
    )
    type: str = Field(
        description="The kind of problem, as a fixed word.",
        examples=["string_too_short"],
    )


class InvalidInput(BaseModel):
    """The same problems in both forms that clients read."""

    detail: list[Problem] | str = Field(
        description="Each problem with its place; one sentence where the source's own "
        "fields are wrong.",
    )
    errors: list[dict[str, str]] = Field(
        description="Each problem as the dotted place and what is wrong there.",
        examples=[[{"body.name": "String should have at least 4 characters"}]],
    )

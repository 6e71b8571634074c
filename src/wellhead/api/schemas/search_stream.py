"""The events of a streamed search as the public contract shows them."""

from typing import Literal, Self

from pydantic import BaseModel, Field

from wellhead.api.schemas.search import AgenticSearchRequest, FilterGroup


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


class AgenticSearchErrorEvent(BaseModel):
    """The search failed; nothing follows."""

    type: Literal["error"] = "error"
    message: str = Field(description="Why.", examples=["No LLM provider configured."])

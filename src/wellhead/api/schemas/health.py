"""How healthy this process says it is."""

from typing import Literal

from pydantic import BaseModel, Field


class Health(BaseModel):
    status: Literal["healthy"] = Field(default="healthy", description="It answers.")


class Life(BaseModel):
    status: Literal["alive"] = Field(default="alive", description="It answers.")


class Check(BaseModel):
    status: Literal["up", "down", "skipped"] = Field(
        description="Whether it answers; `skipped` where there is nothing to ask."
    )
    latency_ms: float | None = Field(
        default=None, description="How long it took.", examples=[0.8]
    )
    error: str | None = Field(
        default=None, description="What went wrong.", examples=[None]
    )


class Readiness(BaseModel):
    status: Literal["ready", "not_ready"] = Field(
        description="Whether requests can be served."
    )
    checks: dict[str, Check] = Field(description="What is needed, by name.")

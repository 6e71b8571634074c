"""Usage as consoles of the public contract ask for it."""

from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

from pydantic import BaseModel, Field

from wellhead.api.schemas.times import Instant
from wellhead.services.usage import MonthOfUse


class UsageAction(StrEnum):
    """What elsewhere may be limited."""

    ENTITIES = "entities"
    QUERIES = "queries"
    TOKENS = "tokens"
    SOURCE_CONNECTIONS = "source_connections"
    TEAM_MEMBERS = "team_members"


class ActionsCheck(BaseModel):
    actions: dict[UsageAction, int] = Field(
        description="How many of each are meant.", examples=[{"entities": 1}]
    )


class ActionCheck(BaseModel):
    """Whether something may be done."""

    allowed: bool = Field(
        default=True, description="Always true: nothing is limited.", examples=[True]
    )
    action: UsageAction
    reason: str | None = Field(
        default=None, description="Why not; always null.", examples=[None]
    )
    details: dict[str, Any] | None = Field(
        default=None, description="Always null.", examples=[None]
    )

    @classmethod
    def of(cls, action: UsageAction) -> "ActionCheck":
        return cls(action=action)


class ActionChecks(BaseModel):
    results: dict[str, ActionCheck] = Field(
        description="By action.",
        examples=[{"entities": {"allowed": True, "action": "entities"}}],
    )


class UsageSnapshot(BaseModel):
    entities: int = Field(description="Entities there are now.", examples=[42])
    queries: int | None = Field(
        default=None, description="Always null: not counted.", examples=[None]
    )
    tokens: int | None = Field(
        default=None, description="Always null: not counted.", examples=[None]
    )
    source_connections: int = Field(description="Connections there are now.")
    team_members: int | None = Field(
        default=None, description="Always null: there are no users.", examples=[None]
    )
    max_entities: int | None = Field(
        default=None, description="Always null: no limit.", examples=[None]
    )
    max_queries: int | None = Field(
        default=None, description="Always null: no limit.", examples=[None]
    )
    max_tokens: int | None = Field(
        default=None, description="Always null: no limit.", examples=[None]
    )
    max_source_connections: int | None = Field(
        default=None, description="Always null: no limit.", examples=[None]
    )
    max_team_members: int | None = Field(
        default=None, description="Always null: no limit.", examples=[None]
    )
    entities_synced: int = Field(
        description="Entities inserted, updated or deleted in the period.",
        examples=[42],
    )
    timestamp: Instant = Field(description="When it was counted.")
    billing_period_id: UUID = Field(description="The period.")


class BillingPeriodUsage(BaseModel):
    period_id: UUID = Field(description="The same for one month always.")
    period_start: Instant = Field(description="The first moment of the month.")
    period_end: Instant = Field(description="The first moment of the next one.")
    status: str = Field(default="active", description="Always `active`.")
    plan: str = Field(default="self_hosted", description="Always `self_hosted`.")
    usage: UsageSnapshot = Field(description="How much.")
    daily_usage: list[dict[str, Any]] = Field(
        default=[], description="Always empty: days are not counted apart."
    )
    is_current: bool = Field(default=True, description="Whether it is this month.")


class UsageDashboard(BaseModel):
    current_period: BillingPeriodUsage = Field(description="This month.")
    previous_periods: list[BillingPeriodUsage] = Field(
        default=[], description="Always empty: former months are not kept."
    )
    total_entities_all_time: int = Field(
        description="Entities there are now.", examples=[42]
    )
    total_queries_all_time: int | None = Field(
        default=None, description="Always null: not counted.", examples=[None]
    )
    average_daily_entities: int | None = Field(
        default=None, description="Always null.", examples=[None]
    )
    average_daily_queries: int | None = Field(
        default=None, description="Always null.", examples=[None]
    )
    trends: list[dict[str, Any]] = Field(default=[], description="Always empty.")

    @classmethod
    def of(cls, month: MonthOfUse) -> "UsageDashboard":
        usage, period = month.usage, month.period
        period_id = uuid5(month.organization_id, period.begins.isoformat())
        snapshot = UsageSnapshot(
            entities=usage.entities,
            source_connections=usage.source_connections,
            entities_synced=usage.operations,
            timestamp=month.at,
            billing_period_id=period_id,
        )
        return cls(
            current_period=BillingPeriodUsage(
                period_id=period_id,
                period_start=period.begins,
                period_end=period.ends,
                usage=snapshot,
            ),
            total_entities_all_time=usage.entities,
        )

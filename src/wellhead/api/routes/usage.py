"""What has been used; a server of one's own allows everything."""

from typing import Annotated

from fastapi import Query

from wellhead.api.deps import Services, Tenant
from wellhead.api.routing import PrefixRouter
from wellhead.api.schemas.usage import (
    ActionCheck,
    ActionChecks,
    ActionsCheck,
    UsageAction,
    UsageDashboard,
)
from wellhead.services import usage

router = PrefixRouter(prefix="/usage", tags=["usage"])


@router.get("/check-action")
async def check_action(
    _tenant: Tenant,
    action: Annotated[UsageAction, Query(description="What is meant.")],
    amount: Annotated[int, Query(ge=0, description="How many.")] = 1,  # noqa: ARG001
) -> ActionCheck:
    """Say whether something may be done: it may, nothing is limited here."""
    return ActionCheck.of(action)


@router.post("/check-actions")
async def check_actions(_tenant: Tenant, body: ActionsCheck) -> ActionChecks:
    """Say of several whether they may be done."""
    return ActionChecks(results={one: ActionCheck.of(one) for one in body.actions})


@router.get("/dashboard")
async def show_usage(parts: Services, tenant: Tenant) -> UsageDashboard:
    """Return what the organization has, as the ledger counts it."""
    return UsageDashboard.of(await usage.usage_of(parts, tenant))

"""Who changed what in the organization that asks."""

from typing import Annotated

from fastapi import Query, Request, Response

from wellhead.api.deps import Limit, Services, Tenant
from wellhead.api.routing import PrefixRouter, link_next
from wellhead.api.schemas.audit_log import AuditEntry
from wellhead.domain.audit import Action
from wellhead.services import audit_log

router = PrefixRouter(prefix="/audit-log", tags=["audit"])

Before = Annotated[int | None, Query(ge=1, le=2**63 - 1)]


@router.get("")
async def list_entries(
    parts: Services,
    tenant: Tenant,
    request: Request,
    response: Response,
    limit: Limit = 100,
    before: Before = None,
    action: Action | None = None,
) -> list[AuditEntry]:
    """List changes, newest first: who, when, what, to what.

    When there may be more, the Link header says where (`before` the last id).
    """
    found = await audit_log.list_entries(
        parts, tenant, limit=limit, before=before, action=action
    )
    if len(found) == limit:
        link_next(request, response, before=str(found[-1].id))
    return [AuditEntry.of(one) for one in found]

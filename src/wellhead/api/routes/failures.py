"""What of a source connection stands as failed, and trying it again."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response

from wellhead.api.deps import Limit, Services, Tenant
from wellhead.api.routing import AfterKey, PrefixRouter, link_next
from wellhead.api.schemas.failures import (
    QuarantinedFailure,
    RetryAnswer,
    RetryRequest,
)
from wellhead.domain.errors import FailureClass, FailureStage
from wellhead.services import failures
from wellhead.store.failures import Selection

router = PrefixRouter(
    prefix="/source-connections/{source_connection_id}/failures",
    tags=["source-connections"],
)

AskedClass = Annotated[FailureClass | None, Query(alias="class")]


@router.get("")
async def list_failures(
    source_connection_id: UUID,
    parts: Services,
    tenant: Tenant,
    request: Request,
    response: Response,
    limit: Limit = 100,
    after: AfterKey = None,
    stage: FailureStage | None = None,
    failure_class: AskedClass = None,
) -> list[QuarantinedFailure]:
    """List what failed, in whichever job, and is not well since.

    X-Total-Count says how many there are. When there may be more, the Link header says
    where.
    """
    page = await failures.list_quarantined(
        parts,
        tenant,
        source_connection_id,
        Selection(stage=stage, failure_class=failure_class),
        limit=limit,
        after=None if after is None else bytes.fromhex(after),
    )
    response.headers["X-Total-Count"] = str(page.total)
    if len(page.failures) == limit:
        link_next(request, response, after=page.failures[-1].key.hex())
    return [QuarantinedFailure.of(one) for one in page.failures]


@router.post("/retry")
async def retry_failures(
    source_connection_id: UUID,
    parts: Services,
    tenant: Tenant,
    body: RetryRequest | None = None,
    stage: FailureStage | None = None,
    failure_class: AskedClass = None,
) -> RetryAnswer:
    """Try again what failed, also for good: all of it, or what is named.

    The query names it as for the list; what the body says goes before. Starts a job;
    while one is open, the answer says which job makes the try.
    """
    which = (body or RetryRequest()).meant(
        Selection(stage=stage, failure_class=failure_class)
    )
    return RetryAnswer.of(
        await failures.retry_failures(parts, tenant, source_connection_id, which)
    )

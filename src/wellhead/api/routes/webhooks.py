"""Subscriptions to events, and what was told."""

from typing import Annotated

from fastapi import Query, Request, Response

from wellhead.api.deps import Limit, Services, Tenant
from wellhead.api.routing import PrefixRouter, link_next
from wellhead.api.schemas.webhooks import (
    CreateSubscriptionRequest,
    PatchSubscriptionRequest,
    RecoverMessagesRequest,
    RecoveryTask,
    WebhookMessage,
    WebhookMessageWithAttempts,
    WebhookSubscription,
    WebhookSubscriptionDetail,
)
from wellhead.services import webhooks

router = PrefixRouter(prefix="/webhooks", tags=["webhooks"])

DEFAULT_PAGE = 50


@router.get("/messages")
async def list_messages(
    parts: Services,
    tenant: Tenant,
    request: Request,
    response: Response,
    event_types: Annotated[list[str] | None, Query()] = None,
    limit: Limit = DEFAULT_PAGE,
    before: str | None = None,
) -> list[WebhookMessage]:
    """List what happened, newest first, whether or not anybody subscribed to it.

    When there may be more, the Link header says where (`before` the last id).
    """
    found = await webhooks.list_messages(
        parts, tenant, limit=limit, before=before, event_types=event_types
    )
    shown = [WebhookMessage.of(one) for one in found]
    if len(shown) == limit:
        link_next(request, response, before=shown[-1].id)
    return shown


@router.get("/messages/{message_id}")
async def get_message(
    message_id: str, parts: Services, tenant: Tenant, include_attempts: bool = False
) -> WebhookMessageWithAttempts:
    """Return a message, with its attempts at all endpoints if they are asked for."""
    message, attempts = await webhooks.get_message(
        parts, tenant, message_id, include_attempts=include_attempts
    )
    return WebhookMessageWithAttempts.of_attempts(message, attempts)


@router.get("/subscriptions")
async def list_subscriptions(
    parts: Services, tenant: Tenant
) -> list[WebhookSubscription]:
    """List subscriptions, newest first."""
    found = await webhooks.list_subscriptions(parts, tenant)
    return [WebhookSubscription.of(one) for one in found]


@router.post("/subscriptions")
async def create_subscription(
    body: CreateSubscriptionRequest, parts: Services, tenant: Tenant
) -> WebhookSubscription:
    """Send these events to this URL from now on.

    It is asked once, by HEAD, whether it is there; any answer will do.
    """
    return WebhookSubscription.of(
        await webhooks.create_subscription(
            parts,
            tenant,
            url=str(body.url),
            event_types=body.event_types,
            secret=body.secret,
        )
    )


@router.get("/subscriptions/{subscription_id}")
async def get_subscription(
    subscription_id: str,
    parts: Services,
    tenant: Tenant,
    include_secret: bool = False,
) -> WebhookSubscriptionDetail:
    """Return a subscription with its last attempts, and its secret if asked for."""
    return WebhookSubscriptionDetail.of_detail(
        await webhooks.get_subscription(
            parts, tenant, subscription_id, include_secret=include_secret
        )
    )


@router.patch("/subscriptions/{subscription_id}")
async def change_subscription(
    subscription_id: str,
    body: PatchSubscriptionRequest,
    parts: Services,
    tenant: Tenant,
) -> WebhookSubscription:
    """Change what is given; disabling gives up what waits to be sent."""
    return WebhookSubscription.of(
        await webhooks.change_subscription(
            parts,
            tenant,
            subscription_id,
            body.changes(),
            recover_since=body.recover_since,
        )
    )


@router.delete("/subscriptions/{subscription_id}")
async def delete_subscription(
    subscription_id: str, parts: Services, tenant: Tenant
) -> WebhookSubscription:
    """Delete it; nothing more is sent."""
    return WebhookSubscription.of(
        await webhooks.delete_subscription(parts, tenant, subscription_id)
    )


@router.post("/subscriptions/{subscription_id}/recover")
async def recover_messages(
    subscription_id: str,
    body: RecoverMessagesRequest,
    parts: Services,
    tenant: Tenant,
) -> RecoveryTask:
    """Send again what failed or was never sent in that time."""
    return RecoveryTask.of(
        await webhooks.recover_messages(
            parts, tenant, subscription_id, since=body.since, until=body.until
        )
    )

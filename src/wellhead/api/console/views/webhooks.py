"""Webhooks: who is told of what, what was told, how that went, and telling it again."""

from datetime import timedelta

from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from wellhead.api.console.forms import WHOLE, Problems
from wellhead.api.console.visits import Visit
from wellhead.api.schemas.webhooks import CreateSubscriptionRequest
from wellhead.domain.errors import ConflictError, RequestError
from wellhead.domain.events import EventType
from wellhead.domain.webhooks import Message, public_id
from wellhead.services import webhooks

PAGE = 50
SPANS = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
}
_REQUESTS = TypeAdapter(CreateSubscriptionRequest)
_EVENTS = tuple(one.value for one in EventType)


async def list_all(visit: Visit) -> Response:
    found = await webhooks.list_subscriptions(visit.parts, visit.tenant)
    messages = await webhooks.list_messages(
        visit.parts,
        visit.tenant,
        limit=PAGE + 1,
        before=visit.asked("before") or None,
        event_types=None,
    )
    return visit.page(
        "webhooks.html",
        section="webhooks",
        subscriptions=[(public_id("ep", one.id), one) for one in found],
        messages=[(_public(one), one) for one in messages[:PAGE]],
        next_before=_public(messages[PAGE - 1]) if len(messages) > PAGE else None,
    )


def _public(message: Message) -> str:
    return public_id("msg", message.id)


async def ask_for_new(visit: Visit) -> Response:
    return _form(visit, "", ["sync.completed", "sync.failed"], {})


def _form(
    visit: Visit, url: str, chosen: list[str], problems: Problems, *, status: int = 200
) -> Response:
    return visit.page(
        "webhook_new.html",
        status=status,
        section="webhooks",
        url=url,
        chosen=chosen,
        event_types=_EVENTS,
        problems=problems,
    )


async def create(visit: Visit) -> Response:
    url, chosen = visit.form.text("url"), visit.form.every("event_types")
    try:
        asked = _REQUESTS.validate_python({"url": url, "event_types": chosen})
        made = await webhooks.create_subscription(
            visit.parts,
            visit.tenant,
            url=str(asked.url),
            event_types=asked.event_types,
            secret=None,
        )
    except ValidationError as error:
        problems = {
            str(one["loc"][0]) if one["loc"] else WHOLE: one["msg"].removeprefix(
                "Value error, "
            )
            for one in error.errors(include_url=False)
        }
        return _form(visit, url, chosen, problems, status=422)
    except RequestError as error:
        found = {"url": error.message}
        return _form(visit, url, chosen, found, status=error.status)
    return visit.go(
        f"/webhooks/{public_id('ep', made.id)}",
        "The endpoint is told of these events from now on.",
    )


async def show(visit: Visit) -> Response:
    return await _page(visit, None)


async def _page(visit: Visit, secret: str | None) -> Response:
    ident = visit.step("id")
    detail = await webhooks.get_subscription(
        visit.parts, visit.tenant, ident, include_secret=False
    )
    return visit.page(
        "webhook.html",
        section="webhooks",
        ident=ident,
        subscription=detail.subscription,
        attempts=[(public_id("msg", one.message_id), one) for one in detail.attempts],
        secret=secret,
    )


async def show_secret(visit: Visit) -> Response:
    """Show the secret on the page; asked by a form, so that no link does it."""
    detail = await webhooks.get_subscription(
        visit.parts, visit.tenant, visit.step("id"), include_secret=True
    )
    return await _page(visit, detail.secret)


async def show_message(visit: Visit) -> Response:
    message, attempts = await webhooks.get_message(
        visit.parts, visit.tenant, visit.step("id"), include_attempts=True
    )
    subscriptions = await webhooks.list_subscriptions(visit.parts, visit.tenant)
    return visit.page(
        "webhook_message.html",
        section="webhooks",
        ident=visit.step("id"),
        message=message,
        attempts=[
            (public_id("ep", one.subscription_id), one) for one in attempts or ()
        ],
        wanting=[
            (public_id("ep", one.id), one)
            for one in subscriptions
            if message.event_type in one.event_types and not one.disabled
        ],
    )


async def change(visit: Visit) -> Response:
    ident = visit.step("id")
    is_off = visit.form.text("disabled") == "yes"
    await webhooks.change_subscription(
        visit.parts, visit.tenant, ident, {"disabled": is_off}
    )
    said = (
        "Nothing is sent to it any more." if is_off else "It is told of events again."
    )
    return visit.go(f"/webhooks/{ident}", said)


async def resend(visit: Visit) -> Response:
    """Send again what failed or was never sent: of a span, or one message."""
    ident = visit.step("id")
    since = until = None
    if message_id := visit.form.text("message"):
        message, _ = await webhooks.get_message(
            visit.parts, visit.tenant, message_id, include_attempts=False
        )
        since = until = message.at
    span = SPANS.get(visit.form.text("span"), SPANS["day"])
    try:
        done = await webhooks.recover_messages(
            visit.parts,
            visit.tenant,
            ident,
            since=since or visit.parts.clock.now() - span,
            until=until,
        )
    except ConflictError as error:
        return visit.go(f"/webhooks/{ident}", f"{error.message}.", tone="bad")
    said = (
        f"{done.messages} messages are sent again."
        if done.messages
        else "There was nothing to send again: all of it was delivered, or waits."
    )
    return visit.go(
        f"/webhooks/{ident}", said, tone="good" if done.messages else "warn"
    )


async def ask_to_delete(visit: Visit) -> Response:
    ident = visit.step("id")
    detail = await webhooks.get_subscription(
        visit.parts, visit.tenant, ident, include_secret=False
    )
    return visit.page(
        "webhook_delete.html",
        section="webhooks",
        ident=ident,
        subscription=detail.subscription,
    )


async def delete(visit: Visit) -> Response:
    await webhooks.delete_subscription(visit.parts, visit.tenant, visit.step("id"))
    return visit.go("/webhooks", "The endpoint is told nothing any more.")

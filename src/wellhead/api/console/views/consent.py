"""Consent in a browser: asked from a connection's page, and come back to it."""

from uuid import UUID

from starlette.responses import Response

from wellhead.api.console.visits import Visit
from wellhead.api.deps import reached_by
from wellhead.services import consents
from wellhead.services.parts import Parts

BACK = "/connections"
"""The list, which leads on: nobody knows a connection's id before it is made."""

NAMED = "source_connection_id"


def asking(visit: Visit) -> tuple[Parts, str]:
    """Return the parts to ask with, and where the browser is to come back to."""
    parts = reached_by(visit.request, visit.parts)
    return parts, f"{(parts.oauth.public_url or '').rstrip('/')}{visit.base}{BACK}"


async def ask_again(visit: Visit) -> Response:
    """Make a new link, which the connection's page then shows."""
    parts, back = asking(visit)
    ident = visit.step("id")
    await consents.ask_again(parts, visit.tenant, ident, redirect_url=back)
    return visit.go(f"/connections/{ident}")


async def come_back(visit: Visit) -> Response:
    """Say what came of it, on the page of the connection that the address names."""
    try:
        ident = UUID(visit.asked(NAMED))
    except ValueError:
        return visit.go(BACK)
    page = f"/connections/{ident}"
    if visit.asked("status") != "success":
        return visit.go(page, "The provider did not give consent.", tone="bad")
    return visit.go(page, "Consent was given. Now start the first sync: “Run now”.")

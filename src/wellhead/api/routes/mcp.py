"""The Model Context Protocol over streamable HTTP, for agents."""

import asyncio
from importlib import import_module
from typing import Any
from uuid import UUID

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from wellhead.api.around.origins import KNOWN_ORIGINS
from wellhead.api.deps import Services, Tenant
from wellhead.api.principals import ForWhom, TakesPrincipal
from wellhead.api.routing import PrefixRouter
from wellhead.domain.errors import ForbiddenError
from wellhead.domain.principals import Principal
from wellhead.services.parts import Parts

SERVER = "wellhead.api.mcp.server"
"""Loaded at the first request: the SDK takes half a second and 11 MB."""

router = PrefixRouter(prefix="/mcp", dependencies=[TakesPrincipal])


@router.post("", include_in_schema=False)
async def talk(
    request: Request, parts: Services, tenant: Tenant, principal: ForWhom
) -> Response:
    """Take one message of the protocol, and answer it as JSON; there are no sessions.

    A web page whose name was rebound to this machine sends its own origin.
    """
    if request.headers.get("origin", KNOWN_ORIGINS[0]) not in KNOWN_ORIGINS:
        raise ForbiddenError("Web pages of this origin may not ask")
    return _Answer(parts, tenant, principal)


class _Answer(Response):
    """What the protocol's server sends, when it is asked to send it."""

    def __init__(
        self, parts: Parts, organization_id: UUID, principal: Principal | None
    ) -> None:
        super().__init__()
        self._for = (parts, organization_id, principal)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # in a thread: whatever else goes on in this process does not stand still
        server: Any = await asyncio.to_thread(import_module, SERVER)
        await server.answer(*self._for, scope, receive, send)

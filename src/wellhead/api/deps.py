"""What routes ask for: the parts of the program, and who is asking."""

from dataclasses import replace
from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import Depends, Query, Request
from fastapi.openapi.models import APIKey
from fastapi.security.base import SecurityBase

from wellhead.api.around.rates import count_request
from wellhead.api.auth import Caller, KeyRing
from wellhead.api.principals import refuse_principal
from wellhead.services.parts import Parts

LARGEST_PAGE = 1000
LARGEST_SKIP = 2**31 - 1


async def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


async def _key_ring(request: Request) -> KeyRing:
    ring: KeyRing = request.app.state.key_ring
    return ring


async def _caller_of(request: Request) -> Caller:
    # called, not depended on: each dependency costs every request more than this does
    state = request.state
    if not hasattr(state, "caller"):
        state.caller = await request.app.state.key_ring.caller_of(request)
        state.organization_id = state.caller.organization_id
        count_request(request, state.caller)
        refuse_principal(request)
    caller: Caller = state.caller
    return caller


class _Keyed(SecurityBase):
    """Tells the document that a key is asked for; Bearer keys are taken, too."""

    scheme_name = "ApiKeyAuth"

    def __init__(self) -> None:
        self.model = APIKey.model_validate({"in": "header", "name": "x-api-key"})


class _Organization(_Keyed):
    async def __call__(self, request: Request) -> UUID:
        return (await _caller_of(request)).organization_id


class Reader(NamedTuple):
    """Who may read, and what with; reading is not written down, so nobody acts."""

    parts: Parts
    tenant: UUID


class _Reading(_Keyed):
    async def __call__(self, request: Request) -> Reader:
        caller = await _caller_of(request)
        return Reader(request.app.state.parts, caller.organization_id)


class _Acting(_Keyed):
    async def __call__(self, request: Request) -> Parts:
        caller = await _caller_of(request)
        return replace(await _parts(request), actor=caller.actor)


def reached_by(request: Request, parts: Parts) -> Parts:
    """Return the parts, which know where browsers reach this server."""
    if parts.oauth.public_url is not None:
        return parts
    here = str(request.base_url).rstrip("/")
    return replace(parts, oauth=replace(parts.oauth, public_url=here))


Services = Annotated[Parts, Depends(_Acting())]
"""The parts, acting as the caller, who must have shown a key."""
PublicServices = Annotated[Parts, Depends(_parts)]
"""The parts for routes that ask for no key, acting as the program itself."""
Keys = Annotated[KeyRing, Depends(_key_ring)]
Tenant = Annotated[UUID, Depends(_Organization())]
Reading = Annotated[Reader, Depends(_Reading())]
"""Both for what is asked most and changes nothing; two dependencies cost more."""
Skip = Annotated[int, Query(ge=0, le=LARGEST_SKIP)]
Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE)]

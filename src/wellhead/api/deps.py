"""What routes ask for: the parts of the program, and who is asking."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, Security
from fastapi.security import APIKeyHeader

from wellhead.api.auth import KeyRing
from wellhead.services.parts import Parts

LARGEST_PAGE = 1000
LARGEST_SKIP = 2**31 - 1


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


def _key_ring(request: Request) -> KeyRing:
    ring: KeyRing = request.app.state.key_ring
    return ring


async def _organization(
    request: Request,
    ring: Annotated[KeyRing, Depends(_key_ring)],
    _key: Annotated[
        str | None,
        Security(
            APIKeyHeader(name="x-api-key", scheme_name="ApiKeyAuth", auto_error=False)
        ),
    ],
) -> UUID:
    organization_id = await ring.organization_of(request)
    request.state.organization_id = organization_id
    return organization_id


Services = Annotated[Parts, Depends(_parts)]
Keys = Annotated[KeyRing, Depends(_key_ring)]
Tenant = Annotated[UUID, Depends(_organization)]
Skip = Annotated[int, Query(ge=0, le=LARGEST_SKIP)]
Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE)]

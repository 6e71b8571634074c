"""Services that keep credentials for others: none can be connected yet."""

from typing import Any

from pydantic import BaseModel

from wellhead.api.deps import Tenant
from wellhead.api.routing import PrefixRouter
from wellhead.domain.errors import BadRequestError, NotFoundError

KNOWN = frozenset({"composio", "pipedream", "klavis", "custom"})
"""Those that other servers of this API can connect."""

router = PrefixRouter(
    prefix="/auth-providers", tags=["auth-providers"], include_in_schema=False
)


class AuthProviderCreate(BaseModel):
    name: str
    short_name: str
    readable_id: str | None = None
    description: str | None = None
    auth_fields: dict[str, Any] | None = None


@router.get("/list")
async def list_providers(_tenant: Tenant) -> list[str]:
    return []


@router.get("/detail/{short_name}")
async def get_provider(short_name: str, _tenant: Tenant) -> None:
    raise NotFoundError(f"Auth provider not found: {short_name}")


@router.get("/connections")
async def list_provider_connections(_tenant: Tenant) -> list[str]:
    return []


@router.get("/connections/{readable_id}")
async def get_provider_connection(readable_id: str, _tenant: Tenant) -> None:
    raise _unknown(readable_id)


@router.post("")
async def connect_provider(body: AuthProviderCreate, _tenant: Tenant) -> None:
    if body.short_name not in KNOWN:
        raise NotFoundError(f"Auth provider not found: {body.short_name}")
    raise BadRequestError(
        f"Auth provider {body.short_name} cannot be connected here yet: give source "
        "connections their credentials or an access_token"
    )


@router.put("/{readable_id}")
async def change_provider_connection(readable_id: str, _tenant: Tenant) -> None:
    raise _unknown(readable_id)


@router.delete("/{readable_id}")
async def delete_provider_connection(readable_id: str, _tenant: Tenant) -> None:
    raise _unknown(readable_id)


def _unknown(readable_id: str) -> NotFoundError:
    return NotFoundError(f"Auth provider connection not found: {readable_id}")

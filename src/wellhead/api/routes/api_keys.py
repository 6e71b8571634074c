"""API keys of the organization that asks."""

from uuid import UUID

from wellhead.api.deps import Keys, Limit, Services, Skip, Tenant
from wellhead.api.routing import PrefixRouter
from wellhead.api.schemas.api_keys import ApiKey, ApiKeyCreate
from wellhead.services import keys

router = PrefixRouter(prefix="/api-keys", tags=["api-keys"])


@router.get("")
async def list_keys(
    parts: Services, tenant: Tenant, skip: Skip = 0, limit: Limit = 100
) -> list[ApiKey]:
    """List keys, newest first; the keys themselves are not kept."""
    found = await keys.list_keys(parts, tenant, skip=skip, limit=limit)
    return [ApiKey.of(one) for one in found]


@router.post("")
async def create_key(
    parts: Services, tenant: Tenant, body: ApiKeyCreate | None = None
) -> ApiKey:
    """Make a key; this answer is the only one that shows it."""
    asked = body or ApiKeyCreate()
    return ApiKey.made(
        await keys.create_key(
            parts, tenant, name=asked.name, life_days=asked.expiration_days
        )
    )


@router.get("/{key_id}")
async def get_key(key_id: UUID, parts: Services, tenant: Tenant) -> ApiKey:
    """Return one key, without the key itself."""
    return ApiKey.of(await keys.get_key(parts, tenant, key_id))


@router.post("/{key_id}/rotate")
async def rotate_key(
    key_id: UUID, parts: Services, tenant: Tenant, ring: Keys
) -> ApiKey:
    """Make a successor; the old key works for another day, or until it is deleted."""
    new = await keys.rotate_key(parts, tenant, key_id)
    ring.forget()
    return ApiKey.made(new)


@router.delete("")
async def delete_key(
    id: UUID,  # noqa: A002  # the parameter's public name
    parts: Services,
    tenant: Tenant,
    ring: Keys,
) -> ApiKey:
    """Revoke a key at once."""
    revoked = await keys.revoke_key(parts, tenant, id)
    ring.forget()
    return ApiKey.of(revoked)

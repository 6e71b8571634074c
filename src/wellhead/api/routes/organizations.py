"""The organization that asks; there are no users to be members of it."""

from uuid import UUID

from wellhead.api.deps import Services, Tenant
from wellhead.api.routing import PrefixRouter
from wellhead.api.schemas.organizations import Organization, OrganizationUpdate
from wellhead.domain.errors import ForbiddenError
from wellhead.services import organizations

router = PrefixRouter(prefix="/organizations", tags=["organizations"])

_MADE_ON_THE_SERVER = (
    "Organizations are made on the server itself: run "
    "`wellhead keys create --local --organization NAME` there"
)
_NOT_DELETED = (
    "Organizations cannot be deleted: delete its collections and its API keys instead"
)
_NO_USERS = (
    "There are no users here, only API keys: whoever shall work in this organization "
    "needs a key of it, see POST /api-keys"
)


@router.get("")
async def list_organizations(parts: Services, tenant: Tenant) -> list[Organization]:
    """List the organizations that the key speaks for: its own."""
    own = await organizations.get_organization(parts, tenant, tenant)
    return [Organization.of(own)]


@router.post("", include_in_schema=False)
async def create_organization(_tenant: Tenant) -> Organization:
    raise ForbiddenError(_MADE_ON_THE_SERVER)


@router.get("/{organization_id}")
async def get_organization(
    organization_id: UUID, parts: Services, tenant: Tenant
) -> Organization:
    """Return the organization that asks."""
    return Organization.of(
        await organizations.get_organization(parts, tenant, organization_id)
    )


@router.put("/{organization_id}")
async def change_organization(
    organization_id: UUID, body: OrganizationUpdate, parts: Services, tenant: Tenant
) -> Organization:
    """Give the organization another name or description."""
    return Organization.of(
        await organizations.change_organization(
            parts, tenant, organization_id, body.values()
        )
    )


@router.delete("/{organization_id}", include_in_schema=False)
async def delete_organization(
    organization_id: UUID, parts: Services, tenant: Tenant
) -> Organization:
    await organizations.get_organization(parts, tenant, organization_id)
    raise ForbiddenError(_NOT_DELETED)


async def refuse_for_lack_of_users(
    organization_id: UUID, parts: Services, tenant: Tenant
) -> None:
    """Say what to do instead of inviting people and giving them roles."""
    await organizations.get_organization(parts, tenant, organization_id)
    raise ForbiddenError(_NO_USERS)


for _path, _methods in (
    ("set-primary", ["POST"]),
    ("invite", ["POST"]),
    ("invitations", ["GET"]),
    ("invitations/{invitation_id}", ["DELETE"]),
    ("members", ["GET"]),
    ("members/{member_id}", ["DELETE"]),
    ("leave", ["POST"]),
):
    router.add_api_route(
        f"/{{organization_id}}/{_path}",
        refuse_for_lack_of_users,
        methods=_methods,
        include_in_schema=False,
        name=_path.partition("/")[0].replace("-", "_"),
    )

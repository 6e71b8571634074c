"""What clients ask of users; there are none, only API keys."""

from wellhead.api.deps import Services, Tenant
from wellhead.api.routing import PrefixRouter
from wellhead.api.schemas.organizations import Organization
from wellhead.domain.errors import ForbiddenError
from wellhead.services import organizations

router = PrefixRouter(prefix="/users", tags=["users"], include_in_schema=False)

_NO_USERS = (
    "There are no users here, only API keys: sign in with a key, and see "
    "GET /organizations for whom it speaks for"
)


@router.get("/me/organizations")
async def list_my_organizations(parts: Services, tenant: Tenant) -> list[Organization]:
    own = await organizations.get_organization(parts, tenant, tenant)
    return [Organization.of(own)]


@router.get("")
async def list_users(_tenant: Tenant) -> None:
    raise ForbiddenError(_NO_USERS)


@router.post("/create_or_update")
async def create_user(_tenant: Tenant) -> None:
    raise ForbiddenError(_NO_USERS)

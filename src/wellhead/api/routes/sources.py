"""The catalogue of sources."""

from wellhead.api.deps import Services, Tenant
from wellhead.api.routing import PrefixRouter
from wellhead.api.schemas.sources import Source
from wellhead.services import catalogue

router = PrefixRouter(prefix="/sources", tags=["sources"])


@router.get("")
async def list_sources(parts: Services, _tenant: Tenant) -> list[Source]:
    """List what can be connected, with the fields of each."""
    return [Source.of(one) for one in catalogue.list_sources(parts)]


@router.get("/{short_name}")
async def get_source(short_name: str, parts: Services, _tenant: Tenant) -> Source:
    """Return one source, with its fields."""
    return Source.of(catalogue.get_source(parts, short_name))

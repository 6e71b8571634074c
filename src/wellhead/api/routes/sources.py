"""The catalogue of sources."""

from wellhead.api.deps import Services, Tenant
from wellhead.api.routing import PrefixRouter
from wellhead.api.schemas.definitions import NewDefinition, SourceDefinition
from wellhead.api.schemas.sources import Source
from wellhead.services import catalogue, definitions

router = PrefixRouter(prefix="/sources", tags=["sources"])


@router.get("")
async def list_sources(parts: Services, _tenant: Tenant) -> list[Source]:
    """List what can be connected, with the fields of each."""
    return [Source.of(one) for one in catalogue.list_sources(parts)]


@router.get("/{short_name}")
async def get_source(short_name: str, parts: Services, _tenant: Tenant) -> Source:
    """Return one source, with its fields."""
    return Source.of(catalogue.get_source(parts, short_name))


@router.post("")
async def add_source(body: NewDefinition, parts: Services, tenant: Tenant) -> Source:
    """Add a source that a file declares, for the whole installation.

    A key may do so as long as its organization is the only one; where there are
    several, it is done on the server, by `wellhead sources add --local`. A definition
    that is wrong is refused with a line for each problem.
    """
    await definitions.refuse_several(parts)
    kept = await definitions.add(parts, tenant, body.definition, replace=body.replace)
    return Source.of(catalogue.get_source(parts, kept.short_name))


@router.get("/{short_name}/definition")
async def get_definition(
    short_name: str, parts: Services, _tenant: Tenant
) -> SourceDefinition:
    """Return the file of a source that was added."""
    return SourceDefinition.of(await definitions.get(parts, short_name))


@router.delete("/{short_name}")
async def remove_source(
    short_name: str, parts: Services, tenant: Tenant
) -> SourceDefinition:
    """Remove a source that was added and that no connection uses."""
    await definitions.refuse_several(parts)
    kept = await definitions.get(parts, short_name)
    await definitions.remove(parts, tenant, short_name)
    return SourceDefinition.of(kept)

"""The installation: workers, leases, queues, sizes, versions, and the doctor."""

from starlette.responses import Response

from wellhead.api.console.visits import Visit
from wellhead.services import system


async def show(visit: Visit) -> Response:
    """Show what is known at once; sizes and more checks only when asked for."""
    is_asked = visit.asked("check") == "all"
    found = await system.describe_system(visit.parts, visit.tenant)
    more = await system.check_more(visit.parts) if is_asked else []
    sizes = await system.index_sizes(visit.parts, visit.tenant) if is_asked else []
    return visit.page(
        "system.html",
        section="system",
        system=found,
        checks=[*found.checks, *more],
        sizes=sizes,
        is_asked=is_asked,
        silent_seconds=system.SILENT.total_seconds(),
    )

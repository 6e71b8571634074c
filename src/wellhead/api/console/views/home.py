"""The first page: everything at a glance, or the way to a first answer."""

from starlette.responses import Response

from wellhead.api.console.live import Shown, stream
from wellhead.api.console.visits import Visit
from wellhead.services.collections import list_collections
from wellhead.services.overview import overview

_COLLECTIONS = 8


async def show(visit: Visit) -> Response:
    found = await overview(visit.parts, visit.tenant)
    collections = await list_collections(
        visit.parts, visit.tenant, skip=0, limit=_COLLECTIONS, search=None
    )
    return visit.page(
        "home.html", section="home", overview=found, collections=collections
    )


async def follow(visit: Visit) -> Response:
    async def now() -> Shown:
        found = await overview(visit.parts, visit.tenant)
        return Shown(
            {
                "live-numbers": visit.part("parts/numbers.html", overview=found),
                "live-attention": visit.part("parts/attention.html", overview=found),
                "live-running": visit.part("parts/running.html", jobs=found.open_jobs),
                "live-ended": visit.part("parts/ended.html", jobs=found.ended_jobs),
            }
        )

    return stream(visit, now, every=HOME_SECONDS)


HOME_SECONDS = 2.0

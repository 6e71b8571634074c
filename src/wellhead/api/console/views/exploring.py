"""An agentic search, followed while the model works: it ends when nobody looks on."""

import secrets
from collections.abc import AsyncIterator
from uuid import UUID

import structlog
from starlette.responses import Response

from wellhead.api.agentic_stream import Errand
from wellhead.api.console.live import event
from wellhead.api.console.views import search
from wellhead.api.console.views.search import Asked, Found
from wellhead.api.console.visits import STALE, Visit
from wellhead.api.progress_stream import SLOW_SECONDS, ProgressResponse
from wellhead.api.routes.search import means_of
from wellhead.domain.errors import ForbiddenError, RequestError
from wellhead.domain.search import Answer
from wellhead.search.agentic import explore
from wellhead.search.events import AgenticQuery, Done, Event
from wellhead.search.means import Means
from wellhead.services.collections import find_collection_id

_LOOK_SECONDS = 0.5
log = structlog.get_logger(__name__)
PLACE = "live-exploring"


async def follow(visit: Visit) -> Response:
    """Stream what the model does, then the results; refused without a model."""
    # it costs money, so only our own page may begin it
    given = visit.asked("form_token").encode("utf-8", "surrogatepass")
    if not secrets.compare_digest(given, visit.session.form_token.encode()):
        raise ForbiddenError(STALE)
    readable_id = visit.step("readable_id")
    collection_id = await find_collection_id(visit.parts, visit.tenant, readable_id)
    means = means_of(visit.parts)
    events = _events(visit, means, collection_id, search.asked_of(visit))
    return ProgressResponse(events, slow_seconds=SLOW_SECONDS)


async def _events(
    visit: Visit, means: Means, collection_id: UUID, asked: Asked
) -> AsyncIterator[bytes]:
    yield event("hello", visit.console.assets.mark)
    seen: list[Event] = []
    errand = Errand()

    async def tell(one: Event) -> None:
        seen.append(one)

    try:
        query = AgenticQuery(
            collection_id=collection_id,
            query=asked.query,
            filter=asked.meant,
            limit=asked.limit,
        )
        task = errand.begin(explore(means, query, tell))
        shown = -1
        while not task.done() and not visit.console.feed.is_closed:
            if len(seen) != shown:
                shown = len(seen)
                yield _steps(visit, seen)
            await errand.wait(_LOOK_SECONDS)
        done = task.result() if task.done() else None
        yield _end(visit, asked, done, seen)
    except RequestError as error:
        yield _part(visit, Found(error=error.message), seen, asked)
    except Exception:  # the answer has begun: an error page cannot follow
        log.exception("search in the console failed", collection_id=str(collection_id))
        failed = Found(error="The search failed; please try again")
        yield _part(visit, failed, seen, asked)
    finally:
        await errand.end()
    yield event("end", "")


def _steps(visit: Visit, seen: list[Event]) -> bytes:
    html = visit.part("parts/exploring.html", seen=_told(seen), found=None)
    return event("parts", {PLACE: html})


def _end(visit: Visit, asked: Asked, done: Done | None, seen: list[Event]) -> bytes:
    if done is None:
        return _part(visit, Found(error="The server is restarting."), seen, asked)
    answered = Answer(done.results, done.silent, done.by_words)
    found = search.found_of(answered, asked, done.duration_ms / 1000)
    return _part(visit, found, seen, asked)


def _part(visit: Visit, found: Found, seen: list[Event], asked: Asked) -> bytes:
    html = visit.part(
        "parts/exploring.html", seen=_told(seen), found=found, asked=asked
    )
    return event("parts", {PLACE: html})


def _told(seen: list[Event]) -> list[tuple[str, Event]]:
    """Name each by its kind, for the template; the last one is shown as results."""
    return [(type(one).__name__, one) for one in seen if not isinstance(one, Done)]

"""Collections: the list, making one, and the page of one with its search."""

from dataclasses import dataclass

from pydantic import TypeAdapter
from starlette.responses import HTMLResponse, Response

from wellhead.api.console.charts import stacked
from wellhead.api.console.forms import (
    Problems,
    problem_with,
    problems_of,
    whole_number,
)
from wellhead.api.console.views import search
from wellhead.api.console.visits import Visit
from wellhead.api.schemas.collections import CollectionName
from wellhead.domain.errors import BadRequestError
from wellhead.domain.glances import Choice
from wellhead.services import collections, overview, runs
from wellhead.services.job_views import growth_of

PAGE = 50
MOST_MEMBERS = 100
_NAME = TypeAdapter(CollectionName)


async def list_all(visit: Visit) -> Response:
    skip = _whole(visit.asked("skip"))
    containing = visit.asked("search")
    found = await collections.list_collections(
        visit.parts, visit.tenant, skip=skip, limit=PAGE + 1, search=containing or None
    )
    total = await collections.count_collections(
        visit.parts, visit.tenant, search=containing or None
    )
    return visit.page(
        "collections.html",
        section="collections",
        collections=found[:PAGE],
        has_more=len(found) > PAGE,
        skip=skip,
        page_size=PAGE,
        total=total,
        search=containing,
    )


def _whole(text: str) -> int:
    return whole_number(text, most=2**31) or 0


async def ask_for_new(visit: Visit) -> Response:
    return _form(visit, "", {})


async def create(visit: Visit) -> Response:
    name = visit.form.text("name")
    wrong = problem_with(_NAME, name)
    if wrong is not None:
        return _form(visit, name, {"name": wrong}, status=422)
    try:
        made = await collections.create_collection(
            visit.parts, visit.tenant, name=name, readable_id=None, sync_config=None
        )
    except BadRequestError as error:
        return _form(visit, name, problems_of(error), status=400)
    return visit.go(
        f"/sources?collection={made.readable_id}",
        f"Collection “{made.name}” is ready. Choose a source for it.",
    )


def _form(
    visit: Visit, name: str, problems: Problems, *, status: int = 200
) -> Response:
    return visit.page(
        "collection_new.html",
        status=status,
        section="collections",
        name=name,
        problems=problems,
    )


async def show(visit: Visit) -> Response:
    readable_id = visit.step("readable_id")
    collection = await collections.get_collection(
        visit.parts, visit.tenant, readable_id
    )
    members = await overview.list_glances(
        visit.parts,
        visit.tenant,
        Choice(readable_collection_id=readable_id),
        before=None,
        limit=MOST_MEMBERS,
    )
    asked = search.asked_of(visit)
    found = await search.answer(visit, collection.id, asked)
    return visit.page(
        "collection.html",
        section="collections",
        collection=collection,
        members=members,
        most_members=MOST_MEMBERS,
        asked=asked,
        found=found,
        calls=search.calls(visit, readable_id, asked),
        has_language_model=visit.parts.language_model is not None,
    )


async def show_growth(visit: Visit) -> Response:
    """Draw the chart, which pages fetch by themselves: counting may take a while."""
    readable_id = visit.step("readable_id")
    growth = await growth_of(visit.parts, visit.tenant, readable_id)
    stack = stacked(growth, visit.parts.clock.now())
    return HTMLResponse(visit.part("parts/growth.html", stack=stack))


async def rename(visit: Visit) -> Response:
    readable_id = visit.step("readable_id")
    name = visit.form.text("name")
    wrong = problem_with(_NAME, name)
    if wrong is not None:
        return visit.go(f"/collections/{readable_id}", f"Name: {wrong}", tone="bad")
    await collections.change_collection(
        visit.parts, visit.tenant, readable_id, {"name": name}
    )
    return visit.go(f"/collections/{readable_id}", "The collection was renamed.")


async def run_all(visit: Visit) -> Response:
    readable_id = visit.step("readable_id")
    started = await runs.start_runs(visit.parts, visit.tenant, readable_id)
    said = (
        f"{len(started)} sync jobs are queued."
        if started
        else "No job was started: each connection has one under way or needs you first."
    )
    return visit.go(
        f"/collections/{readable_id}", said, tone="good" if started else "warn"
    )


@dataclass(frozen=True, slots=True)
class Going:
    """What goes with a collection."""

    connections: int
    entities: int


async def ask_to_delete(visit: Visit) -> Response:
    readable_id = visit.step("readable_id")
    collection = await collections.get_collection(
        visit.parts, visit.tenant, readable_id
    )
    members = await overview.list_glances(
        visit.parts,
        visit.tenant,
        Choice(readable_collection_id=readable_id),
        before=None,
        limit=MOST_MEMBERS,
    )
    going = Going(len(members), sum(one.entity_count for one in members))
    return visit.page(
        "collection_delete.html",
        section="collections",
        collection=collection,
        going=going,
        most_members=MOST_MEMBERS,
        problems={},
    )


async def delete(visit: Visit) -> Response:
    readable_id = visit.step("readable_id")
    if visit.form.text("confirm") != readable_id:
        return visit.go(
            f"/collections/{readable_id}/delete",
            f"Type {readable_id} to confirm. Nothing was deleted.",
            tone="bad",
        )
    gone = await collections.delete_collection(visit.parts, visit.tenant, readable_id)
    return visit.go("/collections", f"Collection “{gone.name}” was deleted.")

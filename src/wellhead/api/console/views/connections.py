"""Connections: the list, the page of one, what can be done with it, its failures."""

from typing import Any
from uuid import UUID

from starlette.responses import Response

from wellhead.api.console.forms import whole_number
from wellhead.api.console.live import Shown, stream
from wellhead.api.console.views import consent
from wellhead.api.console.visits import Visit
from wellhead.domain.connections import ConnectionDetails
from wellhead.domain.errors import (
    ConflictError,
    FailureClass,
    NotFoundError,
)
from wellhead.domain.glances import Choice, ConnectionState, JobGlance
from wellhead.services import catalogue, connections, failures, overview, runs
from wellhead.services.catalogue import SourceDescription
from wellhead.services.schedules import next_runs
from wellhead.store.failures import Selection

PAGE = 50
RECENT_JOBS = 30
FIRST_JOBS = 8
FAILURES_PAGE = 100
_ATTENTION = "attention"
FOLLOW_SECONDS = 1.0
_MOST_DELETES = 2**31 - 1


async def list_all(visit: Visit) -> Response:
    if visit.asked(consent.NAMED):
        return await consent.come_back(visit)
    wanted = visit.asked("state")
    states = {one.value for one in ConnectionState}
    choice = Choice(
        readable_collection_id=visit.asked("collection") or None,
        containing=visit.asked("search") or None,
        state=ConnectionState(wanted) if wanted in states else None,
        needs_attention=wanted == _ATTENTION,
    )
    found = await overview.list_glances(
        visit.parts,
        visit.tenant,
        choice,
        before=_id(visit.asked("before")),
        limit=PAGE + 1,
    )
    return visit.page(
        "connections.html",
        section="connections",
        connections=found[:PAGE],
        next_before=found[PAGE - 1].id if len(found) > PAGE else None,
        is_first=not visit.asked("before"),
        wanted=wanted,
        search=visit.asked("search"),
        collection=visit.asked("collection"),
    )


def _id(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


async def show(visit: Visit) -> Response:
    details, job = await _now(visit)
    return visit.page(
        "connection.html",
        section="connections",
        source=_source(visit, details.connection.short_name),
        next_runs=next_runs(
            details.connection.schedule_cron, after=visit.parts.clock.now()
        ),
        **await _values(visit, details, job),
    )


async def _now(visit: Visit) -> tuple[ConnectionDetails, JobGlance | None]:
    details = await connections.get_connection(
        visit.parts, visit.tenant, visit.step("id")
    )
    last = details.last_job
    job = (
        await overview.find_open_job(visit.parts, visit.tenant, last.id)
        if last is not None and last.completed_at is None
        else None
    )
    return details, job


async def _values(
    visit: Visit, details: ConnectionDetails, job: JobGlance | None
) -> dict[str, Any]:
    recent = await runs.list_runs(
        visit.parts, visit.tenant, details.connection.id, limit=RECENT_JOBS
    )
    return {
        "details": details,
        "connection": details.connection,
        "glance": await overview.glance_of(visit.parts, details),
        "job": job,
        "recent": recent,
        "first_jobs": recent[:FIRST_JOBS],
        "held": sum(details.deletes_held.values()),
    }


def _source(visit: Visit, short_name: str) -> SourceDescription | None:
    try:
        return catalogue.get_source(visit.parts, short_name)
    except NotFoundError:
        return None  # its package is not installed any more


async def follow(visit: Visit) -> Response:
    async def now() -> Shown:
        details, job = await _now(visit)
        values = await _values(visit, details, job)
        return Shown(
            {
                "live-status": visit.part("parts/connection_status.html", **values),
                "live-jobs": visit.part("parts/connection_jobs.html", **values),
                "live-entities": visit.part("parts/entity_types.html", **values),
            }
        )

    return stream(visit, now, every=FOLLOW_SECONDS)


async def run(visit: Visit) -> Response:
    """Start a job, full or not, or one that may make the deletes that are held."""
    ident = visit.step("id")
    number = whole_number(visit.form.text("confirm_deletes"), most=_MOST_DELETES)
    try:
        if number is not None:
            await connections.check_confirmation(
                visit.parts, visit.tenant, ident, number
            )
        job = await runs.start_run(
            visit.parts,
            visit.tenant,
            ident,
            force_full=visit.form.text("mode") == "full",
            confirm_deletes=number,
        )
    except ConflictError as error:
        return visit.go(f"/connections/{ident}", f"{error.message}.", tone="bad")
    return visit.go(f"/jobs/{job.id}", "The sync job is queued.")


async def ask_to_delete(visit: Visit) -> Response:
    details = await connections.get_connection(
        visit.parts, visit.tenant, visit.step("id")
    )
    return visit.page(
        "connection_delete.html",
        section="connections",
        connection=details.connection,
        entities=sum(number for number, _ in details.entity_types.values()),
        totals=details.totals,
        last=details.last_job,
    )


async def delete(visit: Visit) -> Response:
    gone = await connections.delete_connection(
        visit.parts, visit.tenant, visit.step("id")
    )
    one = gone.connection
    return visit.go(
        f"/collections/{one.readable_collection_id}",
        f"“{one.name}” was deleted. What it held is not found any more; workers now "
        "take it off the disk.",
    )


async def list_failures(visit: Visit) -> Response:
    details = await connections.get_connection(
        visit.parts, visit.tenant, visit.step("id")
    )
    wanted = visit.asked("class")
    known = {one.value for one in FailureClass}
    after = visit.asked("after")
    page = await failures.list_quarantined(
        visit.parts,
        visit.tenant,
        details.connection.id,
        Selection(failure_class=FailureClass(wanted) if wanted in known else None),
        limit=FAILURES_PAGE + 1,
        after=_key(after),
    )
    shown = page.failures[:FAILURES_PAGE]
    has_more = len(page.failures) > FAILURES_PAGE
    return visit.page(
        "failures.html",
        section="connections",
        connection=details.connection,
        failures=[(one, failures.retried_when(one)) for one in shown],
        total=page.total,
        wanted=wanted,
        next_after=shown[-1].key.hex() if has_more else None,
    )


def _key(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text) or None
    except ValueError:
        return None


async def retry_failures(visit: Visit) -> Response:
    ident = visit.step("id")
    one = visit.form.raw("source_id")
    try:
        retry = await failures.retry_failures(
            visit.parts,
            visit.tenant,
            ident,
            Selection(source_ids=[one] if one else None),
        )
    except ConflictError as error:
        return visit.go(
            f"/connections/{ident}/failures", f"{error.message}.", tone="bad"
        )
    if retry.job is None:
        return visit.go(
            f"/connections/{ident}/failures", "Nothing was left to try.", tone="warn"
        )
    many = retry.entities + retry.scopes
    when = (
        "in this job" if retry.is_started else "when this job, or the next, gets there"
    )
    return visit.go(
        f"/jobs/{retry.job.id}",
        f"{many} {'failure is' if many == 1 else 'failures are'} tried again {when}.",
    )

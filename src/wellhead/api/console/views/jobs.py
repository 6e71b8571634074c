"""Sync jobs: what is under way, what has ended, and the page of one job."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response

from wellhead.api.console.forms import whole_number
from wellhead.api.console.live import Shown, stream
from wellhead.api.console.visits import Visit
from wellhead.domain.errors import ConflictError
from wellhead.domain.glances import JobGlance
from wellhead.domain.jobs import FINAL, JobStatus, SyncJob
from wellhead.services import connections, job_views, overview, runs
from wellhead.services.job_views import JobView

PAGE = 50
_MOST_SEQUENCE = 2**62


async def list_all(visit: Visit) -> Response:
    wanted = visit.asked("status")
    statuses = [one for one in FINAL if one.value == wanted] or list(FINAL)
    before = visit.asked("before")
    ended = await overview.list_ended_jobs(
        visit.parts,
        visit.tenant,
        statuses,
        before=whole_number(before, most=_MOST_SEQUENCE),
        limit=PAGE + 1,
    )
    return visit.page(
        "jobs.html",
        section="jobs",
        jobs=await overview.list_open_jobs(visit.parts, visit.tenant),
        ended=ended[:PAGE],
        wanted=wanted,
        is_first=not before,
        next_before=ended[PAGE - 1].sequence if len(ended) > PAGE else None,
    )


async def follow_all(visit: Visit) -> Response:
    async def now() -> Shown:
        jobs = await overview.list_open_jobs(visit.parts, visit.tenant)
        return Shown({"live-running": visit.part("parts/running.html", jobs=jobs)})

    return stream(visit, now)


async def list_of_connection(visit: Visit) -> Response:
    details = await connections.get_connection(
        visit.parts, visit.tenant, visit.step("id")
    )
    wanted, before = visit.asked("status"), visit.asked("before")
    statuses = {one.value for one in JobStatus}
    found = await runs.list_runs(
        visit.parts,
        visit.tenant,
        details.connection.id,
        limit=PAGE + 1,
        before=_id(before),
        status=JobStatus(wanted) if wanted in statuses else None,
    )
    query = {"status": wanted} if wanted in statuses else {}
    more = {**query, "before": str(found[PAGE - 1].id)} if len(found) > PAGE else None
    return visit.page(
        "connection_jobs.html",
        section="connections",
        connection=details.connection,
        jobs=found[:PAGE],
        totals=details.totals,
        wanted=wanted,
        next_query=None if more is None else urlencode(more),
        is_first=not before,
    )


def _id(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Pace:
    """How quick a job is, and when it may be done if that can be known."""

    per_second: float | None
    seconds_left: float | None
    share: float | None
    """How much of what is expected is done, from 0 to 1."""


def pace_of(glance: JobGlance) -> Pace:
    """Reckon from the job's beginning; what is left only where a listing is known."""
    if glance.started_at is None or glance.progress_at is None or not glance.done:
        return Pace(None, None, None)
    seconds = (glance.progress_at - glance.started_at).total_seconds()
    per_second = glance.done / seconds if seconds > 0 else None
    expected = glance.expected
    if not expected or glance.phase == "sweeping":
        return Pace(per_second, None, None)
    left = max(0, expected - glance.done)
    knows = per_second is not None and per_second > 0 and left > 0
    return Pace(
        per_second,
        left / per_second if knows and per_second else None,
        min(1.0, glance.done / expected),
    )


async def show(visit: Visit) -> Response:
    found = await job_views.view_job(visit.parts, visit.tenant, visit.step("id"))
    details = await job_views.connection_of(visit.parts, visit.tenant, found.job)
    return visit.page(
        "job.html",
        section="jobs",
        connection=details.connection,
        **_values(found),
    )


def _values(found: JobView) -> dict[str, Any]:
    glance = found.glance
    return {
        "view": found,
        "job": found.job,
        "glance": glance,
        "pace": None if glance is None else pace_of(glance),
        "details": found.job.error_details or {},
        "is_over": is_over(found.job),
    }


def is_over(job: SyncJob) -> bool:
    """Tell whether nothing more will change: also what was taken back is gone."""
    return not job.is_open and job.rollback.value != "pending"


async def follow(visit: Visit) -> Response:
    first = await job_views.view_job(visit.parts, visit.tenant, visit.step("id"))
    details = await job_views.connection_of(visit.parts, visit.tenant, first.job)

    async def now() -> Shown:
        found = await job_views.view_job(visit.parts, visit.tenant, first.job.id)
        values = {**_values(found), "connection": details.connection}
        names = ("head", "progress", "scopes", "timeline", "failures")
        return Shown(
            {
                f"live-{name}": visit.part(f"parts/job_{name}.html", **values)
                for name in names
            },
            is_over=is_over(found.job),
        )

    return stream(visit, now)


async def ask_to_cancel(visit: Visit) -> Response:
    job = await runs.get_run(visit.parts, visit.tenant, visit.step("id"))
    details = await job_views.connection_of(visit.parts, visit.tenant, job)
    if not job.is_open:
        return visit.go(f"/jobs/{job.id}", "The job is over already.", tone="warn")
    return visit.page(
        "job_cancel.html", section="jobs", job=job, connection=details.connection
    )


async def cancel(visit: Visit) -> Response:
    ident = visit.step("id")
    keep = visit.form.text("keep") == "yes"
    try:
        job = await runs.cancel_run(
            visit.parts, visit.tenant, None, ident, keep_data=keep
        )
    except ConflictError as error:
        return visit.go(f"/jobs/{ident}", f"{error.message}.", tone="warn")
    said = (
        "The job had not begun: it is cancelled."
        if job.status is JobStatus.CANCELLED
        else "The worker was told to stop. This page shows when it has."
    )
    return visit.go(f"/jobs/{ident}", said)

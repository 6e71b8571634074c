"""Jobs by their id alone, and following them while they run."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Request, Response

from wellhead.api.deps import Keys, Services, Tenant
from wellhead.api.progress_stream import (
    MayGoOn,
    Pace,
    ProgressResponse,
    Telling,
    answer_progress,
)
from wellhead.api.routing import PrefixRouter
from wellhead.api.schemas.jobs import JobReport
from wellhead.api.schemas.progress import (
    Connected,
    EntityState,
    Heartbeat,
    JobProgress,
    SyncComplete,
)
from wellhead.domain.jobs import SyncJob
from wellhead.services import runs
from wellhead.services.progress import ProgressFeed

router = PrefixRouter(prefix="/sync/job", tags=["progress"])

COUNTS = Telling(now=JobProgress.of, end=JobProgress.of, is_told_before_the_end=False)
STATES = Telling(now=EntityState.of, end=SyncComplete.of, is_told_before_the_end=True)
OVER: dict[int | str, dict[str, Any]] = {
    204: {"description": "`Last-Event-ID` was the last message: it is over."}
}


async def _feed(request: Request) -> ProgressFeed:
    feed: ProgressFeed = request.app.state.progress
    return feed


async def _pace(request: Request) -> Pace:
    pace: Pace = request.app.state.progress_pace
    return pace


async def _job(job_id: UUID, parts: Services, tenant: Tenant) -> SyncJob:
    return await runs.get_run(parts, tenant, job_id)


async def _may_go_on(request: Request, keys: Keys) -> MayGoOn:
    return lambda: keys.caller_of(request)


Feed = Annotated[ProgressFeed, Depends(_feed)]
StreamPace = Annotated[Pace, Depends(_pace)]
Job = Annotated[SyncJob, Depends(_job)]
"""The job of the path; 404 before anything is streamed."""
Permission = Annotated[MayGoOn, Depends(_may_go_on)]
LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="The last id that was read, if any."),
]


@router.get("/{job_id}")
async def get_sync_job(job: Job) -> JobReport:
    """Return one job, whichever connection it belongs to."""
    return JobReport.of(job)


@router.get(
    "/{job_id}/subscribe",
    status_code=200,  # the document cannot learn it from the class
    response_class=ProgressResponse,
    responses={200: {"model": Connected | JobProgress | Heartbeat}, **OVER},
)
async def follow_job(
    job: Job,
    feed: Feed,
    pace: StreamPace,
    permission: Permission,
    last_event_id: LastEventId = None,
) -> Response:
    """Follow the counts of a job, as server-sent events.

    Each message tells them whole. The stream ends with the job, or at once after the
    first ones if it is over.
    """
    return answer_progress(
        feed,
        job.id,
        COUNTS,
        may_go_on=permission,
        last_event_id=last_event_id,
        pace=pace,
    )


@router.get(
    "/{job_id}/subscribe-state",
    status_code=200,  # the document cannot learn it from the class
    response_class=ProgressResponse,
    responses={
        200: {"model": Connected | EntityState | SyncComplete | Heartbeat},
        **OVER,
    },
)
async def follow_entities(
    job: Job,
    feed: Feed,
    pace: StreamPace,
    permission: Permission,
    last_event_id: LastEventId = None,
) -> Response:
    """Follow what the connection of a job holds, by type, as server-sent events.

    Each message tells it whole; the last one is `sync_complete`.
    """
    return answer_progress(
        feed,
        job.id,
        STATES,
        may_go_on=permission,
        last_event_id=last_event_id,
        pace=pace,
    )

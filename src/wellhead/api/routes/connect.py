"""What a Connect widget asks, in anybody's page, with the token of a session."""

from dataclasses import dataclass, replace
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param

from wellhead.api.deps import Limit, Services, Tenant, reached_by
from wellhead.api.progress_stream import ProgressResponse, answer_progress
from wellhead.api.routes import oauth
from wellhead.api.routes.progress import (
    COUNTS,
    OVER,
    Feed,
    LastEventId,
    StreamPace,
)
from wellhead.api.routing import PrefixRouter
from wellhead.api.schemas.connect import (
    ConnectedSourceCreate,
    ConnectSessionContext,
    ConnectSessionCreate,
    ConnectSessionResponse,
)
from wellhead.api.schemas.jobs import SourceConnectionJob
from wellhead.api.schemas.jobs import lines_json as jobs_json
from wellhead.api.schemas.progress import Connected, Heartbeat, JobProgress
from wellhead.api.schemas.source_connections import (
    SourceConnection,
    SourceConnectionListItem,
    lines_json,
)
from wellhead.api.schemas.sources import Source
from wellhead.domain.connect import ConnectSession
from wellhead.domain.errors import ForbiddenError, UnauthorizedError
from wellhead.services import connect, connect_sessions
from wellhead.services.parts import Parts

router = PrefixRouter(prefix="/connect", tags=["connect"])

_TOKEN = HTTPBearer(
    scheme_name="ConnectSession",
    description="The token of a Connect session; no API key is taken in its place.",
    auto_error=False,
)


@dataclass(frozen=True, slots=True)
class Widget:
    """Who asks with a token, and the parts acting as that session."""

    session: ConnectSession
    parts: Parts


async def _session_of(request: Request) -> ConnectSession:
    given = request.headers.get("authorization")
    scheme, token = get_authorization_scheme_param(given)
    if scheme.lower() != "bearer":
        raise UnauthorizedError("No Connect session token was sent")
    return await connect_sessions.find_session(request.app.state.parts, token.strip())


async def _widget(
    request: Request,
    # so that the document says what is asked for
    _token: Annotated[HTTPAuthorizationCredentials | None, Security(_TOKEN)],
) -> Widget:
    session = await _session_of(request)
    request.state.organization_id = session.organization_id
    parts: Parts = request.app.state.parts
    actor = connect_sessions.actor_of(session, request_id=request.state.request_id)
    return Widget(session, replace(parts, actor=actor))


Asking = Annotated[Widget, Depends(_widget)]


@router.post("/sessions")
async def create_session(
    body: ConnectSessionCreate, parts: Services, tenant: Tenant
) -> ConnectSessionResponse:
    """Let an end user connect sources to one collection, for ten minutes.

    Ask from your server, with an API key, and hand only the token to the page.
    """
    return ConnectSessionResponse.of(
        await connect_sessions.open_session(parts, tenant, body.meant())
    )


@router.get("/sessions/{session_id}")
async def get_session(session_id: UUID, widget: Asking) -> ConnectSessionContext:
    """Return what the session of the token may do."""
    if session_id != widget.session.id:
        raise ForbiddenError("Session ID does not match token")
    return ConnectSessionContext.of(widget.session)


@router.get("/sources")
async def list_session_sources(widget: Asking) -> list[Source]:
    """List what the session may connect, with the fields of each."""
    return [
        Source.of(one) for one in connect.list_sources(widget.parts, widget.session)
    ]


@router.get("/sources/{short_name}")
async def get_session_source(short_name: str, widget: Asking) -> Source:
    """Return one source that the session may connect, with its fields."""
    return Source.of(connect.get_source(widget.parts, widget.session, short_name))


@router.post("/source-connections")
async def connect_source(
    body: ConnectedSourceCreate, widget: Asking, request: Request
) -> SourceConnection:
    """Connect a source to the session's collection."""
    parts = reached_by(request, widget.parts)
    return SourceConnection.of(
        await connect.create_connection(parts, widget.session, body.meant())
    )


@router.get("/source-connections", response_model=list[SourceConnectionListItem])
async def list_session_connections(widget: Asking) -> Response:
    """List all connections of the session's collection, newest first."""
    found = await connect.list_connections(widget.parts, widget.session)
    return Response(lines_json(found), media_type="application/json")


@router.get("/source-connections/{connection_id}")
async def get_session_connection(
    connection_id: UUID, widget: Asking
) -> SourceConnection:
    """Return a connection of the session's collection."""
    return SourceConnection.of(
        await connect.get_connection(widget.parts, widget.session, connection_id)
    )


@router.delete("/source-connections/{connection_id}")
async def delete_session_connection(
    connection_id: UUID, widget: Asking
) -> SourceConnection:
    """Delete it; it is absent at once, its data soon after."""
    return SourceConnection.of(
        await connect.delete_connection(widget.parts, widget.session, connection_id)
    )


@router.get(
    "/source-connections/{connection_id}/jobs",
    response_model=list[SourceConnectionJob],
)
async def list_session_jobs(
    connection_id: UUID, widget: Asking, limit: Limit = 100
) -> Response:
    """List the sync jobs of a connection, newest first."""
    found = await connect.list_jobs(
        widget.parts, widget.session, connection_id, limit=limit
    )
    return Response(jobs_json(found), media_type="application/json")


@router.get(
    "/source-connections/{connection_id}/subscribe",
    status_code=200,  # the document cannot learn it from the class
    response_class=ProgressResponse,
    responses={200: {"model": Connected | JobProgress | Heartbeat}, **OVER},
)
async def follow_connection(  # for whom, what, how
    connection_id: UUID,
    widget: Asking,
    request: Request,
    feed: Feed,
    pace: StreamPace,
    last_event_id: LastEventId = None,
) -> Response:
    """Follow the counts of a connection's newest job, as server-sent events.

    Each message tells them whole. The stream ends with the job or with the session.
    """
    job = await connect.newest_job(widget.parts, widget.session, connection_id)
    return answer_progress(
        feed,
        job.id,
        COUNTS,
        may_go_on=lambda: _session_of(request),
        last_event_id=last_event_id,
        pace=pace,
    )


@router.post(
    "/source-connections/{connection_id}/reinitiate-oauth", include_in_schema=False
)
async def ask_consent_again(
    connection_id: UUID, widget: Asking, request: Request
) -> SourceConnection:
    parts = reached_by(request, widget.parts)
    return SourceConnection.of(
        await connect.ask_consent_again(parts, widget.session, connection_id)
    )


@router.post(
    "/source-connections/{connection_id}/verify-oauth", include_in_schema=False
)
async def verify_consent(
    connection_id: UUID,
    body: oauth.Claim,
    widget: Asking,
) -> SourceConnection:
    return SourceConnection.of(
        await connect.verify_consent(
            widget.parts, widget.session, connection_id, body.claim_token
        )
    )

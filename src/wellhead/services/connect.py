"""What the holder of a Connect session does: the same use cases, within its bounds."""

from dataclasses import replace
from uuid import UUID

from wellhead.domain.connect import ConnectSession, SessionRight
from wellhead.domain.connections import ConnectionDetails, ConnectionLine
from wellhead.domain.errors import ForbiddenError, NotFoundError
from wellhead.domain.jobs import JobLine
from wellhead.services import catalogue, connections, consents, runs
from wellhead.services.catalogue import SourceDescription
from wellhead.services.connections import NewConnection
from wellhead.services.parts import Parts

_PAGE = 1000


def list_sources(parts: Parts, session: ConnectSession) -> list[SourceDescription]:
    """Return the sources that the session may connect."""
    return [
        one
        for one in catalogue.list_sources(parts)
        if session.covers(one.short_name) and _is_trusted(parts, session, one)
    ]


def get_source(
    parts: Parts, session: ConnectSession, short_name: str
) -> SourceDescription:
    session.require_source(short_name)
    found = catalogue.get_source(parts, short_name)
    if not _is_trusted(parts, session, found):
        raise _untrusted(short_name)
    return found


def _is_trusted(
    parts: Parts, session: ConnectSession, source: SourceDescription
) -> bool:
    """Tell whether whoever asks may read what the source can read.

    An end user must not get at the server's own disk and network unless whoever holds
    the API key said so by naming the source.
    """
    needs_trust = parts.sources.get(source.short_name).info.needs_trust
    return not needs_trust or session.names(source.short_name)


def _untrusted(short_name: str) -> ForbiddenError:
    return ForbiddenError(
        f"Source '{short_name}' reads with the rights of the server: a session may "
        "connect it only if its allowed_integrations name it"
    )


async def list_connections(
    parts: Parts, session: ConnectSession
) -> list[ConnectionLine]:
    """List the connections of the session's collection, newest first."""
    session.require(SessionRight.VIEW)
    found: list[ConnectionLine] = []
    while True:
        page = await connections.list_connections(
            parts,
            session.organization_id,
            skip=len(found),
            limit=_PAGE,
            readable_collection_id=session.readable_collection_id,
        )
        found += page
        if len(page) < _PAGE:
            return [one for one in found if session.covers(one.short_name)]


async def create_connection(
    parts: Parts, session: ConnectSession, new: NewConnection
) -> ConnectionDetails:
    """Connect a source to the session's collection, whichever one was named."""
    session.require(SessionRight.CREATE)
    session.require_source(new.short_name)
    info = parts.sources.get(new.short_name).info
    if info.needs_trust and not session.names(new.short_name):
        raise _untrusted(new.short_name)
    return await connections.create_connection(
        parts,
        session.organization_id,
        replace(
            new,
            readable_collection_id=session.readable_collection_id,
            session_id=session.id,
        ),
    )


async def get_connection(
    parts: Parts, session: ConnectSession, connection_id: UUID
) -> ConnectionDetails:
    session.require(SessionRight.VIEW)
    return await _its(parts, session, connection_id)


async def delete_connection(
    parts: Parts, session: ConnectSession, connection_id: UUID
) -> ConnectionDetails:
    session.require(SessionRight.DELETE)
    await _its(parts, session, connection_id)
    return await connections.delete_connection(
        parts, session.organization_id, connection_id
    )


async def list_jobs(
    parts: Parts, session: ConnectSession, connection_id: UUID, *, limit: int
) -> list[JobLine]:
    """List the jobs of a connection, newest first; every mode may look on."""
    await _its(parts, session, connection_id)
    return await runs.list_runs(
        parts, session.organization_id, connection_id, limit=limit
    )


async def newest_job(
    parts: Parts, session: ConnectSession, connection_id: UUID
) -> JobLine:
    """Return the job to follow; every mode may look on."""
    found = await _its(parts, session, connection_id)
    if found.last_job is None:
        raise NotFoundError("No sync jobs found for this connection")
    return found.last_job


async def ask_consent_again(
    parts: Parts, session: ConnectSession, connection_id: UUID
) -> ConnectionDetails:
    session.require(SessionRight.REAUTHENTICATE)
    await _its(parts, session, connection_id)
    return await consents.ask_again(
        parts, session.organization_id, connection_id, session_id=session.id
    )


async def verify_consent(
    parts: Parts, session: ConnectSession, connection_id: UUID, claim_token: str
) -> ConnectionDetails:
    session.require(SessionRight.VERIFY)
    await _its(parts, session, connection_id)
    return await consents.verify(
        parts,
        session.organization_id,
        connection_id,
        claim_token,
        session_id=session.id,
    )


async def _its(
    parts: Parts, session: ConnectSession, connection_id: UUID
) -> ConnectionDetails:
    """Return a connection of the session's collection; no other one is there."""
    found = await connections.get_connection(
        parts, session.organization_id, connection_id
    )
    if found.connection.collection_id != session.collection_id:
        raise NotFoundError("SourceConnection not found")
    session.require_source(found.connection.short_name)
    return found

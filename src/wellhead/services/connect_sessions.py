"""Connect sessions: opened with an API key, then found again by their tokens.

Nothing is stored. A token is the session itself, sealed with a key that only the
processes of this installation can derive: it works in each of them, and there is no
table to clean up or to steal from. Its end is asked of the ledger, see `find_session`.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.audit import Action, Actor, ActorKind, Subject
from wellhead.domain.connect import ConnectSession, SessionMode
from wellhead.domain.errors import JobError, NotFoundError, UnauthorizedError
from wellhead.services.parts import Parts
from wellhead.store import audit_log, collections, keys
from wellhead.store.secrets import Cipher

LIFE = timedelta(minutes=10)
PREFIX = "wcs_"
"""By which people and programs that look for leaked secrets know a token."""
_PURPOSE = "connect session 1"
"""Another number wherever the fields of a session change: old tokens then end."""
_SESSIONS = TypeAdapter(ConnectSession)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """What a session is to be good for."""

    readable_collection_id: str
    mode: SessionMode = SessionMode.ALL
    allowed_integrations: tuple[str, ...] | None = None
    end_user_id: str | None = None


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session just made: the only moment at which its token is known."""

    session: ConnectSession
    token: str


async def open_session(
    parts: Parts, organization_id: UUID, new: NewSession
) -> OpenedSession:
    """Let an end user connect sources to one collection, for ten minutes."""
    now = parts.clock.now()
    async with parts.db.begin() as connection:
        collection = await collections.find(
            connection, organization_id, new.readable_collection_id
        )
        if collection is None:
            raise NotFoundError("Collection not found")
        session = ConnectSession(
            id=uuid4(),
            organization_id=organization_id,
            collection_id=collection.id,
            readable_collection_id=collection.readable_id,
            mode=new.mode,
            expires_at=now + LIFE,
            allowed_integrations=new.allowed_integrations,
            end_user_id=new.end_user_id,
            key_id=parts.actor.key_id,
        )
        await _note(connection, parts, session)
    return OpenedSession(session, _token_of(parts, session))


async def find_session(parts: Parts, token: str) -> ConnectSession:
    """Return the session of a token; UnauthorizedError if there is none any more.

    It ends after its time, with its collection, and with the key that made it.
    """
    session = _session_of(parts, token)
    if session is None or session.expires_at <= parts.clock.now():
        raise _over()
    async with parts.db.connect() as connection:
        collection = await collections.find(
            connection, session.organization_id, session.readable_collection_id
        )
        if collection is None or collection.id != session.collection_id:
            raise _over()
        if session.key_id is not None:
            await _require_key(connection, parts, session, session.key_id)
    return session


def actor_of(session: ConnectSession, *, request_id: str) -> Actor:
    """Return who acts when the session does: the audit log names it and its key."""
    whose = "" if session.end_user_id is None else f" of {session.end_user_id}"
    return Actor(
        kind=ActorKind.CONNECT_SESSION,
        name=f"session {session.id}{whose}",
        key_id=session.key_id,
        request_id=request_id,
    )


def _token_of(parts: Parts, session: ConnectSession) -> str:
    sealed = _seal(parts).encrypt(_SESSIONS.dump_python(session, mode="json"))
    return PREFIX + sealed.decode("ascii")


def _session_of(parts: Parts, token: str) -> ConnectSession | None:
    """Return what was sealed; None if it was not sealed here."""
    if not token.startswith(PREFIX):
        return None
    sealed = token.removeprefix(PREFIX).encode("utf-8", "surrogatepass")
    try:
        return _SESSIONS.validate_python(_seal(parts).decrypt(sealed))
    except JobError:
        return None


def _seal(parts: Parts) -> Cipher:
    return parts.cipher.for_purpose(_PURPOSE)


async def _require_key(
    connection: AsyncConnection, parts: Parts, session: ConnectSession, key_id: UUID
) -> None:
    key = await keys.find(connection, session.organization_id, key_id)
    if key is None or key.is_expired(parts.clock.now()):
        raise _over()


def _over() -> UnauthorizedError:
    return UnauthorizedError("Invalid or expired session token")


async def _note(
    connection: AsyncConnection, parts: Parts, session: ConnectSession
) -> None:
    allowed = session.allowed_integrations
    await audit_log.note(
        connection,
        parts.actor,
        session.organization_id,
        Action.SESSION_CREATED,
        Subject("connect_session", str(session.id)),
        parts.clock.now(),
        collection=session.readable_collection_id,
        mode=session.mode.value,
        allowed_integrations=None if allowed is None else list(allowed),
        end_user_id=session.end_user_id,
    )

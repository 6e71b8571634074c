"""Console sessions: opened by a browser, signed in with API keys, sealed in a cookie.

A cookie is the session itself, sealed with a key that only the processes of this
installation can derive. It ends after its time and with the keys that were shown, which
are looked for at each request. Stored is only which sessions were signed out.
"""

import secrets
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

from pydantic import TypeAdapter

from wellhead.domain.audit import Action, Actor, ActorKind, Subject
from wellhead.domain.console import ConsoleSession, Membership
from wellhead.domain.errors import JobError, NotFoundError, UnauthorizedError
from wellhead.domain.keys import ApiKey, Organization
from wellhead.services.keys import find_key, require_alive
from wellhead.services.parts import Parts
from wellhead.store import audit_log, keys, organizations, sign_outs
from wellhead.store.secrets import Cipher

LIFE = timedelta(hours=12)
"""How long a session lives that nobody uses."""
LONGEST = timedelta(days=7)
"""How long it lives at most, however often it is used."""
RENEW_AFTER = timedelta(hours=1)
MOST_MEMBERSHIPS = 8
_PURPOSE = "console session 1"
"""Another number wherever the fields of a session change: old cookies then end."""
_SESSIONS = TypeAdapter(ConsoleSession)


def open_session(parts: Parts) -> ConsoleSession:
    """Begin a session that may do nothing yet but show a key."""
    now = parts.clock.now()
    return ConsoleSession(
        id=uuid4(),
        form_token=secrets.token_urlsafe(24),
        opened_at=now,
        expires_at=now + LIFE,
    )


async def sign_in(
    parts: Parts, session: ConsoleSession, plain: str, *, request_id: str
) -> ConsoleSession:
    """Return a new session that speaks for the key's organization, too.

    Raises ForbiddenError for a key that is not known or not alive.
    """
    key = await find_key(parts, plain)
    require_alive(parts, key)
    others = [
        one for one in session.memberships if one.organization_id != key.organization_id
    ]
    shown = Membership(key.id, key.organization_id)
    opened = replace(
        open_session(parts),
        memberships=(shown, *others)[:MOST_MEMBERSHIPS],
    )
    async with parts.db.begin() as connection:
        await audit_log.note(
            connection,
            actor_of(key, request_id=request_id),
            key.organization_id,
            Action.CONSOLE_SIGNED_IN,
            Subject("api_key", str(key.id)),
            parts.clock.now(),
            name=key.name,
            prefix=key.prefix,
        )
    return opened


def choose(session: ConsoleSession, organization_id: UUID) -> ConsoleSession:
    """Speak for another organization from now on. Raises NotFoundError."""
    chosen = session.chosen_first(organization_id)
    if not chosen or chosen[0].organization_id != organization_id:
        raise NotFoundError("You are not signed in to this organization")
    return replace(session, memberships=chosen)


def renewed(parts: Parts, session: ConsoleSession) -> ConsoleSession | None:
    """Return it with a later end if that is due; None if not."""
    now = parts.clock.now()
    end = min(now + LIFE, session.opened_at + LONGEST)
    return (
        replace(session, expires_at=end)
        if end - session.expires_at > RENEW_AFTER
        else None
    )


def seal(parts: Parts, session: ConsoleSession) -> str:
    sealed = _seal(parts).encrypt(_SESSIONS.dump_python(session, mode="json"))
    return sealed.decode("ascii")


def find_session(parts: Parts, sealed: str) -> ConsoleSession | None:
    """Return what was sealed here; None if it was not, or its time has come."""
    try:
        session = _SESSIONS.validate_python(
            _seal(parts).decrypt(sealed.encode("utf-8", "surrogatepass"))
        )
    except JobError:
        return None
    return session if session.expires_at > parts.clock.now() else None


async def sign_out(parts: Parts, session: ConsoleSession) -> None:
    """Let nobody use this session any more, nor any copy of its cookie."""
    async with parts.db.begin() as connection:
        await sign_outs.note(
            connection, session.id, session.opened_at + LONGEST, parts.clock.now()
        )


async def is_over(parts: Parts, session: ConsoleSession) -> bool:
    """Tell whether its time has come or it was signed out."""
    if session.expires_at <= parts.clock.now():
        return True
    async with parts.db.connect() as connection:
        return await sign_outs.has(connection, session.id)


def _seal(parts: Parts) -> Cipher:
    return parts.cipher.for_purpose(_PURPOSE)


async def require_member(
    parts: Parts, session: ConsoleSession
) -> tuple[ApiKey, Organization]:
    """Return the key and the organization that the session speaks for.

    Raises UnauthorizedError before signing in, and when the key is not alive any more.
    """
    chosen = session.chosen
    if chosen is None:
        raise UnauthorizedError("Sign in with an API key")
    async with parts.db.connect() as connection:
        key = await keys.find(connection, chosen.organization_id, chosen.key_id)
        if key is None or key.is_expired(parts.clock.now()):
            raise UnauthorizedError(
                "The API key that you signed in with was revoked or has expired"
            )
        return key, await organizations.get(connection, chosen.organization_id)


async def list_organizations(
    parts: Parts, session: ConsoleSession
) -> list[Organization]:
    """Return those that the session may speak for, the chosen one first."""
    async with parts.db.connect() as connection:
        return [
            await organizations.get(connection, one.organization_id)
            for one in session.memberships
        ]


def actor_of(key: ApiKey, *, request_id: str) -> Actor:
    """Return who acts: the key, by way of the console."""
    return Actor(
        kind=ActorKind.API_KEY,
        name=f"{key.name} ({key.prefix}…), console",
        key_id=key.id,
        request_id=request_id,
    )

"""What comes of a question: the link followed, the browser back, the claim verified."""

import hmac
import re
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.audit import Action
from wellhead.domain.connections import (
    AuthMethod,
    ConnectionDetails,
    SourceConnection,
)
from wellhead.domain.consents import ANSWER_LIFE, Consent
from wellhead.domain.errors import (
    BadRequestError,
    ForbiddenError,
    GoneError,
    JobError,
    NotFoundError,
    SyncError,
)
from wellhead.domain.events import EventType
from wellhead.domain.oauth import Grant
from wellhead.services import audit_log, connections, grants, runs
from wellhead.services.asking import Question, Sealed, ask, digest, unseal
from wellhead.services.grants import Kept
from wellhead.services.parts import Parts
from wellhead.sources.oauth import oauth1, oauth2
from wellhead.store import connections as connection_store
from wellhead.store import consents as store
from wellhead.store.locks import Lock

_NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)
_UNKNOWN = "OAuth session not found or expired. Please connect again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What a browser brings back from a provider; nothing of it is to be believed."""

    state: str
    """In OAuth 1 the request token."""
    code: str | None = None
    """In OAuth 1 the verifier."""
    error: str | None = None
    issuer: str | None = None
    is_oauth1: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A question that was just answered, and what it was about."""

    consent: Consent
    sealed: Sealed
    about: SourceConnection
    kept: Kept


async def follow_link(parts: Parts, code: str) -> str:
    """Return the provider's page that a link leads to, once."""
    now = parts.clock.now()
    async with parts.db.begin() as connection:
        found = await store.by_link(connection, digest(code))
        is_open = found is not None and found.followed_at is None
        if found is None or not is_open or found.expires_at <= now:
            raise NotFoundError("Authorization link expired or invalid")
        await store.change(
            connection,
            found.connection_id,
            {"followed_at": now, "expires_at": now + ANSWER_LIFE},
        )
    return unseal(parts, found).goes_to


async def finish(parts: Parts, returned: Returned) -> str | None:
    """Trade what came back for a grant; return where the browser goes, if anywhere.

    Each answer counts once, whatever comes of it. The first run waits until whoever
    asked shows the claim token.
    """
    answer = await _take(parts, returned)
    if returned.issuer is not None and answer.sealed.issuer not in (
        None,
        returned.issuer,
    ):
        raise BadRequestError("The answer comes from another provider than was asked")
    if returned.error is not None:
        return _denied(answer, returned.error)
    try:
        grant = await _grant(parts, answer, returned)
    except SyncError as error:
        raise BadRequestError(f"Consent came to nothing: {error}") from error
    await _keep(parts, answer, grant)
    return _with_status(answer, status="success")


async def _take(parts: Parts, returned: Returned) -> Answer:
    """Mark the question as answered, before anything is done with the answer."""
    now = parts.clock.now()
    async with parts.db.begin() as connection:
        consent = await store.by_state(connection, digest(returned.state))
        if consent is None:
            raise NotFoundError(_UNKNOWN)
        about = await connection_store.get(connection, consent.connection_id)
        if about is None or about.is_deleting:
            raise NotFoundError(_UNKNOWN)
        if consent.returned_at is not None:
            raise BadRequestError("This consent was answered already")
        if consent.expires_at <= now:
            raise GoneError("OAuth session expired. Please connect again")
        await store.change(connection, about.id, {"returned_at": now})
        sealed = await connection_store.ciphertext(connection, about.id)
    return Answer(consent, unseal(parts, consent), about, _kept(parts, about, sealed))


def _kept(parts: Parts, about: SourceConnection, sealed: bytes | None) -> Kept:
    """Return what was kept before; what cannot be read is about to be replaced."""
    if not about.auth_method.is_in_browser:
        return Kept()
    try:
        return grants.unseal(parts.cipher, sealed)
    except JobError:
        return Kept()


async def _grant(parts: Parts, answer: Answer, returned: Returned) -> Grant:
    source = parts.sources.get(answer.about.short_name)
    provider = grants.provider_for(source, answer.about.config)
    if (
        provider is None
        or provider.is_oauth1 != returned.is_oauth1
        or provider.token_url != answer.sealed.token_url
    ):
        raise BadRequestError("The answer does not belong to what was asked")
    client = grants.client_for(parts, source, provider, answer.kept.client)
    code, proof = returned.code or "", answer.sealed.proof
    if provider.is_oauth1:
        given = {"token": returned.state, "secret": proof, "verifier": code}
        return await oauth1.exchange(provider, client, given)
    form = {"code": code, "redirect_uri": answer.sealed.back_to}
    if provider.uses_pkce:
        form["code_verifier"] = proof
    return await oauth2.exchange(provider, client, form, now=parts.clock.now())


async def _keep(parts: Parts, answer: Answer, grant: Grant) -> None:
    now, about = parts.clock.now(), answer.about
    async with parts.db.begin() as connection:
        found = await connection_store.get(connection, about.id, lock=Lock.CHANGE)
        latest = await store.of(connection, about.id)
        is_latest = latest and latest.state_hash == answer.consent.state_hash
        if found is None or found.is_deleting or not is_latest:
            raise NotFoundError(_UNKNOWN)
        await connection_store.save_credential(
            connection,
            about.id,
            grants.seal(parts.cipher, replace(answer.kept, grant=grant)),
            at=now,
        )
        method = found.auth_method if found.auth_method.is_in_browser else None
        values: dict[str, Any] = {
            "is_authenticated": True,
            "auth_method": (method or AuthMethod.OAUTH_BROWSER).value,
            "paused_reason": None,
            "modified_at": now,
        }
        await connection_store.change(connection, about.id, values)
        await store.change(connection, about.id, {"granted_at": now})
        changed = replace(found, is_authenticated=True, paused_reason=None)
        what = EventType.CONNECTION_AUTHENTICATED
        await connections.tell(connection, parts, changed, what)
        await audit_log.note_connection(
            connection, parts, changed, Action.CONNECTION_AUTHENTICATED
        )
        await runs.prepare_verified_run(parts, connection, changed)


def _denied(answer: Answer, error: str) -> str:
    name = error if _NAME.fullmatch(error) else "access_denied"
    back = _with_status(answer, status="error", error=name)
    if back is None:
        raise BadRequestError(f"The provider did not give consent: {name}")
    return back


def _with_status(answer: Answer, **more: str) -> str | None:
    if answer.consent.redirect_url is None:
        return None
    told = {**more, "source_connection_id": str(answer.about.id)}
    return oauth2.with_query(answer.consent.redirect_url, told)


async def verify(
    parts: Parts,
    organization_id: UUID,
    connection_id: UUID,
    claim_token: str,
    *,
    session_id: UUID | None = None,
) -> ConnectionDetails:
    """Let the first run start: whoever asked has seen that consent was given."""
    async with parts.db.begin() as connection:
        found = await _find(connection, organization_id, connection_id)
        consent = await store.of(connection, connection_id)
        if consent is None:
            raise BadRequestError(
                "No OAuth session of this connection waits to be verified"
            )
        if not hmac.compare_digest(consent.claim_hash, digest(claim_token)):
            raise ForbiddenError("Invalid claim token")
        if consent.session_id not in (None, session_id):
            raise ForbiddenError("Only the Connect session that asked can verify this")
        if not await store.verify(connection, connection_id, at=parts.clock.now()):
            raise _too_early_or_late(consent)
        if not found.is_federated:
            await runs.start_verified_run(parts, connection, found)
    return await connections.get_connection(parts, organization_id, connection_id)


def _too_early_or_late(consent: Consent) -> BadRequestError:
    if consent.verified_at is not None:
        return BadRequestError("This consent was verified already")
    if consent.returned_at is None:
        return BadRequestError("Nobody has given consent yet")
    return BadRequestError("Consent was not given: ask again with reinitiate-oauth")


async def ask_again(
    parts: Parts,
    organization_id: UUID,
    connection_id: UUID,
    *,
    session_id: UUID | None = None,
    redirect_url: str | None = None,
) -> ConnectionDetails:
    """Ask the owner anew; what was granted before stays until there is an answer.

    Without another `redirect_url` the browser goes where it was to go before.
    """
    details = await connections.get_connection(parts, organization_id, connection_id)
    about = details.connection
    if about.is_authenticated and not details.needs_its_owner:
        raise BadRequestError("Connection is already authenticated")
    _require_browser(parts, about)
    async with parts.db.connect() as connection:
        before = await store.find(connection, connection_id)
        sealed = await connection_store.ciphertext(connection, connection_id)
    asked = await ask(
        parts,
        Question(
            connection_id=connection_id,
            source=parts.sources.get(about.short_name),
            config=about.config,
            own_client=_kept(parts, about, sealed).client,
            redirect_url=redirect_url or (before.redirect_url if before else None),
            session_id=session_id,
        ),
    )
    async with parts.db.begin() as connection:
        found = await _find(connection, organization_id, connection_id)
        await store.put(connection, asked.consent)
        await audit_log.note_connection(connection, parts, found, Action.CONSENT_ASKED)
    return replace(details, consent=asked.link)


def _require_browser(parts: Parts, about: SourceConnection) -> None:
    if about.auth_method.is_in_browser:
        return
    can = (
        AuthMethod.OAUTH_BROWSER
        in parts.sources.get(about.short_name).info.auth_methods
    )
    if about.auth_method is AuthMethod.OAUTH_TOKEN and can:
        return
    raise BadRequestError(
        "This connection was not made in a browser: "
        + (
            "send its new credentials with PATCH"
            if about.auth_method is AuthMethod.DIRECT
            else "create it again with a new access_token"
        )
    )


async def _find(
    connection: AsyncConnection, organization_id: UUID, connection_id: UUID
) -> SourceConnection:
    found = await connection_store.find(
        connection, organization_id, connection_id, lock=Lock.CHANGE
    )
    if found is None:
        raise NotFoundError("SourceConnection not found")
    return found

"""Asking an owner for consent: a short link of ours, which leads to the provider once.

Everything that has to be known when the browser comes back is sealed with the question.
The state, the PKCE proof and the claim token are random and used once; the ledger keeps
hashes of what others hold.
"""

import hashlib
import secrets
import string
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import TypeAdapter

from wellhead.domain.connections import AuthMethod
from wellhead.domain.consents import LINK_LIFE, Consent, ConsentLink
from wellhead.domain.errors import (
    BadRequestError,
    ConfigError,
    GoneError,
    InvalidInputError,
    JobError,
    NotConfiguredError,
    RetryableError,
)
from wellhead.domain.oauth import OAuthClient
from wellhead.domain.oauth_provider import OAuthProvider
from wellhead.services import grants
from wellhead.services.checks import UpstreamError
from wellhead.services.parts import Parts
from wellhead.sources.base import Source
from wellhead.sources.oauth import oauth1, oauth2
from wellhead.sources.oauth.table import provider_of
from wellhead.store.secrets import Cipher

CALLBACK = "/source-connections/callback"
LINK = "/source-connections/authorize/"
LINK_CHARACTERS = 8
LONGEST_URL = 2000
_ALPHABET = string.ascii_letters + string.digits
_PURPOSE = "consent 1"
_UNSAFE = frozenset('\\"<>^`{|} ')


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Who is asked for what, and where the browser goes in the end."""

    connection_id: UUID
    source: type[Source]
    config: dict[str, Any]
    own_client: OAuthClient | None = None
    redirect_url: str | None = None
    session_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What the answer is held against: to this provider, from this question."""

    link: str
    goes_to: str
    back_to: str
    proof: str
    """PKCE's verifier; in OAuth 1 the secret of the request token."""
    token_url: str
    issuer: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question ready to be written down, and what is told of it."""

    consent: Consent
    link: ConsentLink


_SEALED = TypeAdapter(Sealed)


def digest(token: str) -> bytes:
    """Hash what only its holder knows; long and random, so no salt is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def unseal(parts: Parts, consent: Consent) -> Sealed:
    """Return what the answer is held against; GoneError when no key fits."""
    try:
        return _SEALED.validate_python(_cipher(parts).decrypt(consent.sealed))
    except JobError as error:
        raise GoneError("The server's key has changed. Please connect again") from error


def _cipher(parts: Parts) -> Cipher:
    return parts.cipher.for_purpose(_PURPOSE)


def can_ask(parts: Parts, short_name: str) -> bool:
    """Tell whether owners can be asked with a client of the operator's."""
    source = parts.sources.get(short_name)
    provider = provider_of(source.info)
    if provider is None or AuthMethod.OAUTH_BROWSER not in source.info.auth_methods:
        return False
    return not parts.oauth.clients.keys().isdisjoint((short_name, provider.name))


async def ask(parts: Parts, question: Question) -> Asked:
    """Make the link. OAuth 1 asks the provider for a request token first.

    Raises BadRequestError that says what is missing.
    """
    redirect_url = valid_redirect(parts, question.redirect_url)
    base = _base(parts)
    provider, client = _who(parts, question, base)
    state, proof = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    if provider.is_oauth1:
        state, proof = await _request_token(provider, client, base + CALLBACK)
        goes_to = oauth1.authorization_url(provider, state)
    else:
        goes_to = oauth2.authorization_url(
            provider, client, back_to=base + CALLBACK, state=state, proof=proof
        )
    link = "".join(secrets.choice(_ALPHABET) for _ in range(LINK_CHARACTERS))
    claim_token = secrets.token_urlsafe(32)
    sealed = Sealed(
        link=link,
        goes_to=goes_to,
        back_to=base + CALLBACK,
        proof=proof,
        token_url=provider.token_url,
        issuer=provider.issuer,
    )
    consent = Consent(
        connection_id=question.connection_id,
        link_hash=digest(link),
        state_hash=digest(state),
        claim_hash=digest(claim_token),
        sealed=_cipher(parts).encrypt(_SEALED.dump_python(sealed, mode="json")),
        expires_at=parts.clock.now() + LINK_LIFE,
        redirect_url=redirect_url,
        session_id=question.session_id,
    )
    return Asked(consent, _link(base, link, consent, claim_token))


def open_link(parts: Parts, consent: Consent) -> ConsentLink | None:
    """Return the link of a question that nobody has followed yet."""
    is_over = consent.expires_at <= parts.clock.now()
    if is_over or consent.followed_at is not None:
        return None
    try:
        sealed = unseal(parts, consent)
    except GoneError:
        return None
    return _link(sealed.back_to.removesuffix(CALLBACK), sealed.link, consent)


def _link(
    base: str, link: str, consent: Consent, claim_token: str | None = None
) -> ConsentLink:
    return ConsentLink(
        auth_url=base + LINK + link,
        expires_at=consent.expires_at,
        redirect_url=consent.redirect_url,
        claim_token=claim_token,
    )


def _base(parts: Parts) -> str:
    if parts.oauth.public_url is None:
        raise NotConfiguredError(
            "Browsers do not know where to come back to: set WELLHEAD_PUBLIC_URL"
        )
    return parts.oauth.public_url.rstrip("/")


def _who(
    parts: Parts, question: Question, base: str
) -> tuple[OAuthProvider, OAuthClient]:
    short_name = question.source.info.short_name
    try:
        provider = grants.provider_for(question.source, question.config)
        if provider is None:
            raise BadRequestError(
                f"Source {short_name} cannot be connected in a browser: "
                "who gives consent for it is not known"
            )
        client = grants.client_for(
            parts, question.source, provider, question.own_client
        )
    except ConfigError as error:
        raise InvalidInputError(str(error), field="body.config") from error
    except JobError as error:
        raise BadRequestError(
            f"Source {short_name} cannot be connected in a browser yet: {error} "
            f"(its redirect URL is {base}{CALLBACK}), or send an OAuth client of your "
            "own with the request"
        ) from error
    return provider, client


async def _request_token(
    provider: OAuthProvider, client: OAuthClient, back_to: str
) -> tuple[str, str]:
    try:
        return await oauth1.request_token(provider, client, back_to=back_to)
    except RetryableError as error:
        raise UpstreamError(str(error)) from error
    except JobError as error:
        raise BadRequestError(str(error)) from error


def valid_redirect(parts: Parts, url: str | None) -> str | None:
    """Return where the browser is to go in the end. Raises InvalidInputError."""
    if not url:
        return None
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable():
        raise _refused(f"write it in at most {LONGEST_URL} printable ASCII characters")
    parsed = urlsplit(url)
    # browsers and libraries disagree about these, so one could be sent elsewhere
    is_odd = not _UNSAFE.isdisjoint(url) or "@" in parsed.netloc
    if is_odd or parsed.scheme not in ("http", "https") or not parsed.hostname:
        raise _refused("a whole URL with http or https and a host is wanted")
    origin = f"{parsed.scheme}://{parsed.netloc}".lower()
    allowed = {one.lower().rstrip("/") for one in parts.oauth.redirect_origins}
    is_ours = url.startswith(f"{_base(parts)}/")
    if allowed and not is_ours and origin not in allowed:
        raise _refused(f"{origin} is not among WELLHEAD_OAUTH_REDIRECT_ORIGINS")
    return url


def _refused(why: str) -> InvalidInputError:
    return InvalidInputError(f"Invalid redirect_url: {why}", field="body.redirect_url")

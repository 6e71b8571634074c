"""What a connection keeps of its consent: the grant, and the client that asked."""

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from wellhead.domain.errors import JobError
from wellhead.domain.oauth import Grant, OAuthClient
from wellhead.domain.oauth_provider import OAuthProvider
from wellhead.services.parts import Parts
from wellhead.sources.base import Source
from wellhead.sources.oauth.table import provider_of
from wellhead.store.secrets import Cipher


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The credential of a connection that was authenticated in a browser."""

    client: OAuthClient | None = None
    """The owner's own; None means the operator's, as it is at the time."""
    grant: Grant | None = None


_KEPT = TypeAdapter(Kept)


def seal(cipher: Cipher, kept: Kept) -> bytes:
    return cipher.encrypt(_KEPT.dump_python(kept, mode="json"))


def unseal(cipher: Cipher, sealed: bytes | None) -> Kept:
    """Return what was kept; JobError when no key fits."""
    return Kept() if sealed is None else _KEPT.validate_python(cipher.decrypt(sealed))


def provider_for(source: type[Source], config: dict[str, Any]) -> OAuthProvider | None:
    """Return who gives consent. Raises ConfigError when the config names no host."""
    found = provider_of(source.info)
    return None if found is None else found.for_config(config)


def client_for(
    parts: Parts, source: type[Source], provider: OAuthProvider, own: OAuthClient | None
) -> OAuthClient:
    """Return who asks. Raises JobError if nobody can."""
    clients = parts.oauth.clients
    found = own or clients.get(source.info.short_name) or clients.get(provider.name)
    if found is None:
        raise JobError(
            f"no OAuth client is configured for {provider.name}: add it to "
            f"{parts.oauth.clients_file}"
        )
    return found


def credentials_for(
    source: type[Source], grant: Grant, client: OAuthClient
) -> dict[str, Any]:
    """Return what the source's credentials model is to read: what it has fields for."""
    told = {
        **grant.more,
        "access_token": grant.access_token,
        "oauth_token": grant.access_token,
        "oauth_token_secret": grant.token_secret,
        "consumer_key": client.id,
        "consumer_secret": client.secret,
    }
    wanted = source.credentials_model.model_fields
    return {name: told[name] for name in wanted if told.get(name) is not None}

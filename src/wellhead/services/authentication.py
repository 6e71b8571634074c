"""How a new connection says who it is, and what its source then gets."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wellhead.domain.connections import AuthMethod
from wellhead.domain.errors import BadRequestError, InvalidInputError, NotFoundError
from wellhead.domain.oauth import OAuthClient
from wellhead.sources.base import Source

_CREDENTIALS = "body.authentication.direct.credentials"


@dataclass(frozen=True, slots=True)
class Direct:
    """Credentials that the owner typed in."""

    credentials: dict[str, Any]


@dataclass(frozen=True, slots=True)
class OAuthToken:
    """An access token that the owner already has."""

    access_token: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OAuthBrowser:
    """Consent in a browser, perhaps with an OAuth client of the owner's own."""

    client: OAuthClient | None = None
    redirect_url: str | None = None


@dataclass(frozen=True, slots=True)
class FromProvider:
    """Credentials that another service keeps."""

    provider_readable_id: str


Authentication = Direct | OAuthToken | OAuthBrowser | FromProvider


def method_of(source: type[Source], given: Authentication | None) -> AuthMethod:
    """Return the method that was meant; BadRequestError if the source has it not.

    Saying nothing means the browser, but for a source that needs no credentials.
    """
    match given:
        case Direct():
            method = AuthMethod.DIRECT
        case OAuthToken():
            method = AuthMethod.OAUTH_TOKEN
        case FromProvider():
            method = AuthMethod.AUTH_PROVIDER
        case OAuthBrowser(client=None) | None:
            method = _unsaid(source, given)
        case OAuthBrowser():
            method = AuthMethod.OAUTH_BYOC
    if method is AuthMethod.OAUTH_BROWSER and source.info.needs_own_client:
        raise BadRequestError(
            f"Source {source.info.short_name} needs an OAuth client of your own: "
            "pass its client_id and client_secret"
        )
    if method not in source.info.auth_methods:
        supported = ", ".join(f"'{one.value}'" for one in source.info.auth_methods)
        raise BadRequestError(
            f"Source {source.info.short_name} does not support this authentication "
            f"method. Supported methods: [{supported}]"
        )
    return method


def _unsaid(source: type[Source], given: OAuthBrowser | None) -> AuthMethod:
    methods = source.info.auth_methods
    if given is not None and given.redirect_url:
        return AuthMethod.OAUTH_BROWSER
    if AuthMethod.OAUTH_BROWSER not in methods and not _needs_credentials(source):
        return AuthMethod.DIRECT
    return AuthMethod.OAUTH_BROWSER


def _needs_credentials(source: type[Source]) -> bool:
    fields = source.credentials_model.model_fields.values()
    return any(field.is_required() for field in fields)


def credentials_of(
    source: type[Source], given: Authentication | None, *, at: datetime
) -> dict[str, Any]:
    """Return what the source's credentials model is to read."""
    match given:
        case Direct(credentials):
            return nonempty_credentials(source, credentials)
        case OAuthToken(access_token, expires_at):
            if expires_at is not None and expires_at <= at:
                raise InvalidInputError(
                    "The token has already expired",
                    field="body.authentication.oauth_token.expires_at",
                )
            return {"access_token": access_token}
        case FromProvider(provider_readable_id):
            raise NotFoundError(
                f"Auth provider connection not found: {provider_readable_id}"
            )
        case OAuthBrowser() | None:
            return {}


def nonempty_credentials(
    source: type[Source], credentials: dict[str, Any]
) -> dict[str, Any]:
    """Return them; InvalidInputError if there are none where some are asked for."""
    if not credentials and source.credentials_model.model_fields:
        raise InvalidInputError("Credentials cannot be empty", field=_CREDENTIALS)
    return credentials

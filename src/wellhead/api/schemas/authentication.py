"""How a request authenticates a connection: variants told apart by their keys."""

from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from wellhead.api.schemas.times import Instant
from wellhead.domain.oauth import OAuthClient
from wellhead.services import authentication as domain


class _Variant(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _without_type(cls, value: Any) -> Any:
        """Drop `type`, which some clients send although the keys say it all."""
        if isinstance(value, dict):
            return {name: value[name] for name in value if name != "type"}
        return value


class DirectAuthentication(_Variant):
    credentials: dict[str, Any]

    def meant(self) -> domain.Authentication:
        return domain.Direct(self.credentials)


class OAuthTokenAuthentication(_Variant):
    access_token: str = Field(pattern=r"\S")
    refresh_token: str | None = None
    expires_at: Instant | None = None

    def meant(self) -> domain.Authentication:
        return domain.OAuthToken(self.access_token, self.expires_at)


class OAuthBrowserAuthentication(_Variant):
    redirect_uri: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    consumer_key: str | None = None
    consumer_secret: str | None = None

    @model_validator(mode="after")
    def _whole_pairs(self) -> Self:
        oauth2 = (bool(self.client_id), bool(self.client_secret))
        oauth1 = (bool(self.consumer_key), bool(self.consumer_secret))
        if oauth2[0] != oauth2[1]:
            raise ValueError("client_id and client_secret belong together")
        if oauth1[0] != oauth1[1]:
            raise ValueError("consumer_key and consumer_secret belong together")
        if oauth2[0] and oauth1[0]:
            raise ValueError("give either a client or a consumer, not both")
        return self

    def meant(self) -> domain.Authentication:
        ident = self.client_id or self.consumer_key
        secret = self.client_secret or self.consumer_secret
        client = OAuthClient(ident, secret) if ident and secret else None
        return domain.OAuthBrowser(client, self.redirect_uri)


class AuthProviderAuthentication(_Variant):
    provider_readable_id: str
    provider_config: dict[str, Any] | None = None

    def meant(self) -> domain.Authentication:
        return domain.FromProvider(self.provider_readable_id)


def _variant(value: Any) -> str:
    if not isinstance(value, dict) or "credentials" in value:
        return "direct"
    if "access_token" in value:
        return "oauth_token"
    if "provider_readable_id" in value:
        return "auth_provider"
    return "oauth_browser"


Authentication = Annotated[
    Annotated[DirectAuthentication, Tag("direct")]
    | Annotated[OAuthTokenAuthentication, Tag("oauth_token")]
    | Annotated[OAuthBrowserAuthentication, Tag("oauth_browser")]
    | Annotated[AuthProviderAuthentication, Tag("auth_provider")],
    Discriminator(_variant),
]

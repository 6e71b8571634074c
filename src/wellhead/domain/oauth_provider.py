"""What has to be known of a provider before anybody can be sent to it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from wellhead.domain.errors import ConfigError

OAuthType = Literal["oauth1", "access_only", "with_refresh", "with_rotating_refresh"]
_FIELD = re.compile(r"{(\w+)}")
_HOST_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthProvider:
    """How a provider grants access, as its public documentation says."""

    name: str
    """Under which operators register a client; one serves all sources of a provider."""
    authorize_url: str
    """Where the owner is asked. `{field}` stands for a field of the source's config,
    which has to be one label of a host name."""
    token_url: str
    request_token_url: str | None = None
    """Only OAuth 1 begins there."""
    scopes: tuple[str, ...] = ()
    oauth_type: OAuthType = "with_refresh"
    extra: Mapping[str, str] = field(default_factory=dict)
    """What else the authorization URL carries."""
    uses_pkce: bool = True
    client_auth: Literal["basic", "body"] = "body"
    """How the client proves itself where tokens are given out."""
    body_format: Literal["form", "json"] = "form"
    scope_parameter: str = "scope"
    scope_separator: str = " "
    answer_within: str | None = None
    """The object of the answer that holds the token, if not the answer itself."""
    issuer: str | None = None
    """How it names itself in `iss`, so that another one's answer is told apart."""

    @property
    def is_oauth1(self) -> bool:
        return self.oauth_type == "oauth1"

    def for_config(self, config: Mapping[str, Any]) -> "OAuthProvider":
        """Fill the config's fields into the URLs. Raises ConfigError."""
        return replace(
            self,
            authorize_url=_filled(self.authorize_url, config),
            token_url=_filled(self.token_url, config),
        )


def is_host_label(text: str) -> bool:
    """Tell whether this is one part of a host name, and cannot turn it to another."""
    return _HOST_LABEL.fullmatch(text) is not None


def _filled(url: str, config: Mapping[str, Any]) -> str:
    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        label = str(config.get(name) or "")
        # anything else could turn the URL to another host, which then gets the secret
        if not is_host_label(label):
            raise ConfigError(
                f"config.{name} must be one part of a host name, such as 'acme': "
                "letters, digits and hyphens"
            )
        return label

    return _FIELD.sub(value, url)

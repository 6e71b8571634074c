"""Which method is meant, and what credentials a source gets."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from wellhead.domain.connections import AuthMethod
from wellhead.domain.errors import BadRequestError, InvalidInputError
from wellhead.domain.items import Item
from wellhead.domain.oauth import OAuthClient
from wellhead.services.authentication import (
    Authentication,
    Direct,
    FromProvider,
    OAuthBrowser,
    OAuthToken,
    credentials_of,
    method_of,
)
from wellhead.sources.base import Config, NoConfig, Source, SourceInfo

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Token(Config):
    access_token: str


def source_with(credentials: type[Config], *methods: AuthMethod) -> type[Source]:
    class Scripted(Source):
        info = SourceInfo(
            short_name="scripted",
            name="Scripted",
            description="",
            entity_types=(),
            auth_methods=methods,
        )
        credentials_model = credentials

        async def check(self) -> None: ...

        async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
            nothing: tuple[Item, ...] = ()
            for one in nothing:
                yield one

    return Scripted


EVERY = tuple(AuthMethod)


@pytest.mark.parametrize(
    ("given", "method"),
    [
        (Direct({"access_token": "t"}), AuthMethod.DIRECT),
        (OAuthToken("t"), AuthMethod.OAUTH_TOKEN),
        (OAuthBrowser(), AuthMethod.OAUTH_BROWSER),
        (OAuthBrowser(OAuthClient("a", "b")), AuthMethod.OAUTH_BYOC),
        (FromProvider("p"), AuthMethod.AUTH_PROVIDER),
        (None, AuthMethod.OAUTH_BROWSER),
    ],
)
def test_each_variant_means_a_method(
    given: Authentication | None, method: AuthMethod
) -> None:
    assert method_of(source_with(Token, *EVERY), given) is method


def test_nothing_means_direct_where_nothing_is_needed() -> None:
    source = source_with(NoConfig, AuthMethod.DIRECT)

    assert method_of(source, None) is AuthMethod.DIRECT
    assert method_of(source, OAuthBrowser()) is AuthMethod.DIRECT
    assert credentials_of(source, Direct({}), at=NOW) == {}


def test_an_unsupported_method_names_those_supported() -> None:
    source = source_with(Token, AuthMethod.DIRECT, AuthMethod.OAUTH_TOKEN)

    with pytest.raises(BadRequestError, match=r"\['direct', 'oauth_token'\]"):
        method_of(source, None)


def test_a_token_is_given_to_the_source_unless_it_has_expired() -> None:
    source = source_with(Token, AuthMethod.OAUTH_TOKEN)
    later = NOW + timedelta(seconds=1)

    assert credentials_of(source, OAuthToken("t", later), at=NOW) == {
        "access_token": "t"
    }
    with pytest.raises(InvalidInputError):
        credentials_of(source, OAuthToken("t", NOW), at=NOW)
    with pytest.raises(InvalidInputError):
        credentials_of(source, Direct({}), at=NOW)

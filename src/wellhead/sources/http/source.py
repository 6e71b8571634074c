"""A source that reads an HTTP API: what its author need not write."""

from functools import cached_property
from typing import ClassVar

from wellhead.sources.base import Source
from wellhead.sources.http.api import Api
from wellhead.sources.http.client import ApiClient
from wellhead.sources.http.limits import LocalLimiter
from wellhead.sources.http.tokens import StaticToken


class ApiSource(Source):
    """Has a client of its API, which is closed with the source."""

    api: Api
    """Of the class, or set when it is made if the config tells where the API is."""
    client: ClassVar[type[ApiClient]] = ApiClient

    def token(self) -> str | None:
        """Return the key in the credentials, None to use what OAuth gave."""
        found: str | None = getattr(self.credentials, "token", None)
        return found

    @cached_property
    def http(self) -> ApiClient:
        limit, token = self.info.rate_limit, self.token()
        return self.client(
            self.api,
            tokens=self.tokens if token is None else StaticToken(token),
            limiter=None if limit is None else LocalLimiter(limit),
            surroundings=self.surroundings,
        )

    async def close(self) -> None:
        if "http" in self.__dict__:
            await self.http.close()

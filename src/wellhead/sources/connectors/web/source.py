"""The web site source: pages that link to each other, and what sitemaps name."""

from collections.abc import AsyncIterator, Sequence
from functools import cached_property
from importlib import import_module
from typing import Any

from wellhead.domain.catalogue import Tested
from wellhead.domain.errors import ConfigError
from wellhead.domain.items import Item, Ref
from wellhead.sources.base import NoConfig, Source, SourceInfo
from wellhead.sources.connectors.web.config import WebConfig
from wellhead.sources.connectors.web.crawl import FILE, PAGE
from wellhead.sources.open_web import POLITE, Visitor


class WebSource(Source):
    """The cursor holds what is known of each page; unchanged ones cost a 304."""

    info = SourceInfo(
        short_name="web",
        name="Web site",
        description="Pages and documents of a web site, by its links and sitemaps.",
        entity_types=(PAGE, FILE),
        needs_trust=True,
        labels=("Web",),
        tested=Tested.REAL_SERVER,
        supports_continuous=True,
        is_incremental=True,
        yields_deletes=True,
        rate_limit=POLITE,
    )
    config_model = WebConfig
    config: WebConfig

    def __init__(self, config: WebConfig, credentials: NoConfig) -> None:
        super().__init__(config, credentials)
        self._visitor: Visitor | None = None

    async def check(self) -> None:
        await self._crawler.check()

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        async for item in self._crawler.read(cursor):
            yield item

    def fetch(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        found: AsyncIterator[Item] = self._crawler.fetch(refs)
        return found

    async def close(self) -> None:
        if self._visitor is not None:
            await self._visitor.close()

    @cached_property
    def _crawler(self) -> Any:
        """Loaded when it is needed, for its libraries are an extra."""
        try:
            made = import_module("wellhead.sources.connectors.web.crawler")
        except ImportError as error:
            raise ConfigError(
                "The web source is not installed: pip install 'wellhead[web]'"
            ) from error
        self._visitor = Visitor(self.surroundings)
        return made.Crawler(self.config, self._visitor)

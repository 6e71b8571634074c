"""Several language models, each standing in for the ones before."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

import structlog

from wellhead.domain.errors import UnavailableError
from wellhead.domain.language import Prompt, Reply
from wellhead.domain.ports import LanguageModel

REST_SECONDS = 30.0
"""A model that failed is asked last for so long."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Link:
    """A model of a chain, opened when it is first asked."""

    name: str
    open: Callable[[], Awaitable[LanguageModel]]
    model: LanguageModel | None = None
    failed_at: float = -REST_SECONDS
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def reply(self, prompt: Prompt) -> Reply:
        async with self.opening:
            if self.model is None:
                self.model = await self.open()
        return await self.model.reply(prompt)

    @property
    def is_resting(self) -> bool:
        return time.monotonic() - self.failed_at < REST_SECONDS


class Chain:
    """Implements the LanguageModel port: asks the first, and after it the others."""

    def __init__(self, links: Sequence[Link]) -> None:
        self._links = links

    @property
    def name(self) -> str:
        return ",".join(link.name for link in self._links)

    async def reply(self, prompt: Prompt) -> Reply:
        """Return the first reply; raises UnavailableError, which says why of each."""
        failures: list[str] = []
        for link in sorted(self._links, key=lambda one: one.is_resting):
            try:
                reply = await link.reply(prompt)
            except UnavailableError as error:
                link.failed_at = time.monotonic()
                failures.append(f"{link.name}: {error.message}")
                log.warning("language model failed", model=link.name, why=error.message)
            else:
                return replace(reply, retries=reply.retries + len(failures))
        raise UnavailableError(f"No language model answered ({'; '.join(failures)})")

    async def close(self) -> None:
        for link in self._links:
            if link.model is not None:
                await link.model.close()

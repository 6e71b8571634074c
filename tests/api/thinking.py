"""An application whose searches ask a scripted model, by the real client."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
from tests.scripted_model import SECRET, Line, ScriptedModel, scripted

from wellhead.api.application import create_app
from wellhead.domain.errors import UnavailableError
from wellhead.llm.chain import Chain, Link
from wellhead.llm.model import HttpModel
from wellhead.llm.names import ModelName
from wellhead.services.parts import Parts


@dataclass(frozen=True)
class Thinking:
    """What a test talks to: the application, and the model that it talks to."""

    app: Any
    client: httpx.AsyncClient
    model: ScriptedModel
    parts: Parts


@asynccontextmanager
async def thinking(
    parts: Parts, key: str, *lines: Line, call_seconds: float = 20, **more: Any
) -> AsyncIterator[Thinking]:
    async with scripted(*lines) as server:
        name = ModelName("openai", "scripted")

        async def opened() -> HttpModel:
            return HttpModel.open(
                name, key=SECRET, url=server.url, call_seconds=call_seconds
            )

        chain = Chain([Link(str(name), opened)])
        own = replace(parts, language_model=chain, **more)
        app = create_app(own, auth=True)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://wellhead", headers={"x-api-key": key}
        ) as client:
            yield Thinking(app, client, server, own)
        await chain.close()


class Shortest:
    """A reranker that likes short names, and forgets one."""

    name = "local:shortest"

    def __init__(self) -> None:
        self.is_away = False
        self.asked: list[tuple[str, int]] = []

    async def rank(self, query: str, texts: Sequence[str]) -> list[tuple[int, float]]:
        self.asked.append((query, len(texts)))
        if self.is_away:
            raise UnavailableError("away")
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        return [(place, 1 / len(texts[place])) for place in order[:-1]]

    async def close(self) -> None: ...

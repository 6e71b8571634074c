"""A server of embeddings on loopback: speaks each provider's protocol, and stumbles."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import shake_128
from typing import Any

import numpy as np
from tests.receiver import Received, answer, receiving

DIMENSION = 48
KEY = "sk-key-of-the-embedder"
Trouble = bytes | Callable[[], Awaitable[bytes]] | None
PATHS = {"/v1/embeddings": "input", "/v2/embed": "texts"}


def refuses(status: int, **headers: str) -> bytes:
    said = json.dumps({"error": {"message": f"no, {KEY}"}})
    return answer(status, said, **{"content-type": "application/json"}, **headers)


def torn() -> bytes:
    """Half an answer that says that it is whole."""
    return answer(200, '{"data": [{"index": 0, "embedding": [0.1, 0.')


async def hangs() -> bytes:
    await asyncio.Event().wait()
    return b""


@dataclass
class ScriptedEmbedder:
    """Makes a vector of each text; `troubles` are answered first, one after another."""

    troubles: Iterator[Trouble]
    dimension: int = DIMENSION
    refused: str = "\0"
    """Texts with this are refused, and every request that holds one."""
    refusal: int = 400
    port: int = 0
    asked: list[Any] = field(default_factory=list)
    """The bodies of the requests."""
    answered: list[str] = field(default_factory=list)
    """The texts that got a vector, each as often as it did."""
    headers: list[dict[str, str]] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def base(self, provider: str) -> str:
        return self.url.replace("/v1", "/v2") if provider == "cohere" else self.url

    async def react(self, request: Received) -> bytes:
        body = json.loads(request.body)
        texts = body[PATHS[request.path]]
        self.asked.append(body)
        self.headers.append(request.headers)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(0)
            trouble = next(self.troubles, None)
            if trouble is not None:
                return trouble if isinstance(trouble, bytes) else await trouble()
            if any(not text or self.refused in text for text in texts):
                return refuses(self.refusal)
            self.answered += texts
            return self._rows(request.path, texts)
        finally:
            self.under_way -= 1

    def _rows(self, path: str, texts: list[str]) -> bytes:
        rows = [vector_of(text, self.dimension) for text in texts]
        body: Any = {"embeddings": {"float": rows}}
        if path == "/v1/embeddings":
            places = range(len(rows))
            data = [{"index": at, "embedding": rows[at]} for at in places]
            # whoever believes the order of the list is wrong
            body = {"data": data[::-1], "usage": {"total_tokens": len(texts)}}
        return answer(200, json.dumps(body), **{"content-type": "application/json"})


def vector_of(text: str, dimension: int) -> list[float]:
    """Return numbers drawn by the text, three times as long as a unit vector."""
    noise = np.frombuffer(shake_128(text.encode()).digest(dimension), dtype=np.int8)
    values = noise.astype(np.float64) + 0.5
    return [float(one) for one in 3 * values / np.linalg.norm(values)]


@asynccontextmanager
async def embedding(*troubles: Trouble, **more: Any) -> AsyncIterator[ScriptedEmbedder]:
    async with receiving() as receiver:
        server = ScriptedEmbedder(iter(troubles), port=receiver.port, **more)
        receiver.react = server.react
        yield server

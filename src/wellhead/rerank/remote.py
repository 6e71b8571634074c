"""Rerankers behind HTTP: Cohere, Voyage and Jina, each in its own words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from wellhead.domain.errors import UnavailableError

TIMEOUT = httpx.Timeout(10, connect=5)


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where a provider listens, and what it calls the parts of the talk."""

    url: str
    most: str
    """The field that says how many to return."""
    results: str


DIALECTS = {
    "cohere": Dialect("https://api.cohere.com/v2/rerank", "top_n", "results"),
    "voyage": Dialect("https://api.voyageai.com/v1/rerank", "top_k", "data"),
    "jina": Dialect("https://api.jina.ai/v1/rerank", "top_n", "results"),
}


class RemoteReranker:
    """Implements the Reranker port by one request for each question."""

    def __init__(
        self, provider: str, model: str, *, key: str | None, url: str | None = None
    ) -> None:
        """A `url` is that of another server that speaks the provider's dialect."""
        self._name = f"{provider}:{model}"
        self._model = model
        self._dialect = DIALECTS[provider]
        self._url = url or self._dialect.url
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._http = httpx.AsyncClient(timeout=TIMEOUT, headers=headers)

    @property
    def name(self) -> str:
        return self._name

    async def rank(self, query: str, texts: Sequence[str]) -> list[tuple[int, float]]:
        body = {
            "model": self._model,
            "query": query,
            "documents": list(texts),
            self._dialect.most: len(texts),
        }
        try:
            response = await self._http.post(self._url, json=body)
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"{self._name} could not be asked ({type(error).__name__})"
            ) from error
        if response.status_code != httpx.codes.OK:
            raise UnavailableError(f"{self._name} answered {response.status_code}")
        try:
            ranked = _ranked(response.json()[self._dialect.results], len(texts))
        except (ValueError, TypeError, KeyError) as error:
            raise UnavailableError(f"{self._name} sent no ranking") from error
        return sorted(ranked, key=lambda one: -one[1])

    async def close(self) -> None:
        await self._http.aclose()


def _ranked(results: Any, count: int) -> list[tuple[int, float]]:
    found: dict[int, float] = {}
    for one in results:
        place, score = int(one["index"]), float(one["relevance_score"])
        if not 0 <= place < count:
            raise ValueError(f"there is no place {place}")
        found.setdefault(place, score)
    return list(found.items())

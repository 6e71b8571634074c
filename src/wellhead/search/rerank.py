"""Putting results in the order that a reranker sees."""

from collections.abc import Sequence
from dataclasses import replace

import structlog

from wellhead.domain.errors import UnavailableError
from wellhead.domain.ports import Reranker
from wellhead.domain.search import SearchResult

DEPTH = 100
"""How many are reread; the others stay behind them."""
LONGEST_TEXT = 8_000

log = structlog.get_logger(__name__)


async def reranked(
    reranker: Reranker, query: str, results: Sequence[SearchResult]
) -> list[SearchResult] | None:
    """Return all of them, best first; None if the reranker did not answer."""
    head, tail = results[:DEPTH], results[DEPTH:]
    try:
        ranked = await reranker.rank(query, [_text(one) for one in head])
    except UnavailableError as error:
        log.warning("reranker failed", model=reranker.name, why=error.message)
        return None
    best = [replace(head[place], relevance_score=score) for place, score in ranked]
    named = {place for place, _ in ranked}
    left = [one for place, one in enumerate(head) if place not in named]
    least = best[-1].relevance_score if best else 1.0
    return best + [
        replace(one, relevance_score=min(one.relevance_score, least))
        for one in (*left, *tail)
    ]


def _text(result: SearchResult) -> str:
    return f"{result.name}\n{result.text}"[:LONGEST_TEXT]

"""Preferring what changed lately among results of which only the ranks are known."""

from collections.abc import Sequence
from dataclasses import replace

from wellhead.domain.search import Recency, SearchResult
from wellhead.search.fuse import Leg, fuse


def recent_first(
    recency: Recency | None, ranked: Sequence[SearchResult]
) -> list[SearchResult]:
    """Return them in order of what their ranks are worth, less what age takes of it."""
    if recency is None:
        return list(ranked)
    kept = [recency.share_kept(one.updated_at or one.created_at) for one in ranked]
    places = range(len(ranked))
    ordered = fuse([Leg(1.0, places)], [len(ranked)], lambda place: kept[place])
    return [replace(ranked[at], relevance_score=score) for at, score in ordered]

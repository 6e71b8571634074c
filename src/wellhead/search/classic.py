"""One search as a language model plans it; without a plan, the plain one."""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import structlog

from wellhead.domain.errors import InvalidInputError, UnavailableError
from wellhead.domain.search import (
    Answer,
    InstantQuery,
    SearchResult,
    WithoutVector,
)
from wellhead.search import everywhere
from wellhead.search.everywhere import entity_of, id_of, merge
from wellhead.search.fuse import Leg, fuse
from wellhead.search.means import Means
from wellhead.search.narrow import narrowed
from wellhead.search.plan import INSTRUCTIONS, Plan, plan_of, planning
from wellhead.search.recent import recent_first
from wellhead.search.rerank import reranked

PLAN_SECONDS = 25.0
"""A request may take 60 seconds, and the search itself 30 of them."""
DEPTH = 1_000
"""How far down each wording of the question is read."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ClassicAnswer:
    """One page of results, and why they were found without a plan, if so."""

    answer: Answer
    why_plain: str | None = None


async def search(means: Means, query: InstantQuery) -> ClassicAnswer:
    """Return one page of what the planned queries find, all within the user's filter.

    The plan's filter only narrows. Where there is no usable plan the query is
    searched as it is. Raises what an instant search raises.
    """
    try:
        plan, within = await _planned(means, query)
    except (InvalidInputError, UnavailableError) as error:
        log.warning("searching without a plan", why=error.message)
        is_away = isinstance(error, UnavailableError)
        why = "did not answer" if is_away else "made no usable plan"
        plain = Plan((query.query,), query.strategy, ())
        answer = await _page(means, query, plain, query)
        return ClassicAnswer(answer, f"the language model {why}")
    return ClassicAnswer(await _page(means, query, plan, within))


async def _planned(means: Means, query: InstantQuery) -> tuple[Plan, InstantQuery]:
    """Return the plan, and the query that no search of it may reach beyond."""
    try:
        async with asyncio.timeout(PLAN_SECONDS):
            prompt = planning(query.query, means.told(INSTRUCTIONS))
            reply = await means.model.reply(prompt)
    except TimeoutError as error:
        raise UnavailableError(
            f"The language model made no plan within {PLAN_SECONDS:g} seconds"
        ) from error
    plan = plan_of(reply)
    return plan, replace(query, filter=narrowed(query.filter, plan.filter))


async def _page(
    means: Means, asked: InstantQuery, plan: Plan, within: InstantQuery
) -> Answer:
    end = asked.offset + asked.limit
    first = replace(
        within,
        query=plan.queries[0],
        strategy=plan.strategy,
        without_vector=WithoutVector.BY_WORDS,
    )
    if len(plan.queries) == 1 and means.reranker is None:
        return await everywhere.search(means, first)
    wanted = replace(first, offset=0, limit=min(max(end, 100), DEPTH))
    said: list[str] = []
    # sources are asked once, in the best words, while the index is searched in all
    async with means.federation.asked(means.reads, first) as asking:
        found = [
            await means.find(replace(wanted, query=one), fell_back=said.append)
            for one in plan.queries
        ]
        name = entity_of if asked.is_grouped else id_of
        indexed = found[0] if len(found) == 1 else fused(found, name)
        legs, silent = await asking.answers()
    results = merge(indexed, legs)
    if means.reranker is not None:
        ranked = await reranked(means.reranker, asked.query, results)
        results = results if ranked is None else recent_first(asked.recency, ranked)
    page = results[asked.offset : end]
    page = await means.in_context(asked.collection_id, asked.context, page)
    return Answer(page, silent, said[-1] if said else None)


def fused(
    found: Sequence[Sequence[SearchResult]],
    name: Callable[[SearchResult], Hashable] = id_of,
) -> list[SearchResult]:
    """Merge rankings by reciprocal rank; the first one wins ties.

    Of those that bear one name that of the first ranking is shown.
    """
    results = {name(one): one for leg in reversed(found) for one in leg}
    legs = [Leg(1.0, list(dict.fromkeys(map(name, leg)))) for leg in found]
    return [
        replace(results[key], relevance_score=score)
        for key, score in fuse(legs, [DEPTH])
    ]

"""A search that a language model leads: it looks, reads and collects."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence

from wellhead.domain.errors import InvalidInputError, RequestError, UnavailableError
from wellhead.domain.language import (
    Answers,
    Prompt,
    Reply,
    Said,
    ToolAnswer,
    ToolCall,
    Turn,
)
from wellhead.domain.search import SearchResult
from wellhead.search.events import (
    AgenticQuery,
    Diagnostics,
    Done,
    Reranking,
    Tell,
    Thought,
    ToolUse,
)
from wellhead.search.everywhere import ResultId, entity_of, id_of
from wellhead.search.means import Means
from wellhead.search.notes import Notes
from wellhead.search.rerank import reranked
from wellhead.search.toolbox import Toolbox, Used
from wellhead.search.tools import INSTRUCTIONS, TOOLS

MOST_ITERATIONS = 15
MOST_CALLS = 10
"""Calls of one reply; what is beyond is told to wait."""
MOST_NUDGES = 2
NUDGE = "Use the tools; end with return_results_to_user. Nobody reads your text."
MOST_GUESSED = 10
"""Returned of what was seen, where the model never came to collect anything."""


async def explore(means: Means, asked: AgenticQuery, tell: Tell) -> Done:
    """Let the model search, and tell what it does; the last event is also returned.

    Raises UnavailableError when no model answers, or not in time.
    """
    try:
        async with asyncio.timeout(means.most_seconds):
            return await _Exploration(means, asked, tell).run()
    except TimeoutError as error:
        raise UnavailableError(
            f"The search took longer than {means.most_seconds:g} seconds "
            "(WELLHEAD_LLM_SECONDS)"
        ) from error


class _Exploration:
    def __init__(self, means: Means, asked: AgenticQuery, tell: Tell) -> None:
        self._means = means
        self._asked = asked
        self._instructions = means.told(INSTRUCTIONS)
        self._tell = tell
        self._notes = Notes()
        self._toolbox = Toolbox(means, asked, self._notes)
        self._turns: list[Turn] = [Said(asked.query)]
        self._spent: Counter[str] = Counter()
        self._iteration = 0
        self._nudges = 0
        self._is_accepted = False

    async def run(self) -> Done:
        started = time.monotonic()
        is_over = False
        while not is_over and self._iteration < MOST_ITERATIONS:
            self._iteration += 1
            is_over = await self._step()
        collected = list(self._notes.collected.values())
        if not collected and not self._is_accepted:
            collected = self._notes.seen[:MOST_GUESSED]
        results = await self._in_order(await self._as_of_now(collected))
        done = Done(
            results=await self._shown(results),
            duration_ms=_since(started),
            diagnostics=self._diagnostics(hit_the_most=not is_over),
            silent=self._toolbox.silent,
            by_words=self._toolbox.by_words,
        )
        await self._tell(done)
        return done

    async def _step(self) -> bool:
        """Ask the model and do what it says; returns whether it is over."""
        reply = await self._ask()
        if reply.calls:
            answers = [await self._answer(n, one) for n, one in enumerate(reply.calls)]
            self._turns.append(Answers(tuple(answers)))
            return self._is_accepted
        if self._notes.collected or self._nudges == MOST_NUDGES:
            return True
        self._nudges += 1
        self._turns.append(Said(NUDGE))
        return False

    async def _ask(self) -> Reply:
        started = time.monotonic()
        reply = await self._means.model.reply(
            Prompt(
                instructions=self._instructions,
                turns=tuple(self._turns),
                tools=TOOLS,
                thinking=self._asked.thinking,
            )
        )
        self._turns.append(reply)
        tokens = reply.tokens
        self._spent.update(
            prompt=tokens.prompt,
            completion=tokens.completion,
            cache_written=tokens.cache_written,
            cache_read=tokens.cache_read,
            retries=reply.retries,
        )
        await self._tell(
            Thought(
                thinking=reply.thinking,
                text=reply.text,
                duration_ms=_since(started),
                iteration=self._iteration,
                prompt_tokens=tokens.prompt,
                completion_tokens=tokens.completion,
            )
        )
        return reply

    async def _answer(self, place: int, call: ToolCall) -> ToolAnswer:
        """Use the tool; what goes wrong with it is for the model to know."""
        started = time.monotonic()
        try:
            used = await self._used(place, call)
        except RequestError as error:
            used = Used({"error": error.message}, {"error": error.message})
        self._is_accepted = self._is_accepted or used.is_last
        if self._toolbox.tool(call.name) is not None:
            await self._tell(
                ToolUse(
                    tool_name=call.name,
                    duration_ms=_since(started),
                    iteration=self._iteration,
                    call_id=call.id,
                    arguments=call.arguments or {},
                    stats=used.stats,
                )
            )
        left = MOST_ITERATIONS - self._iteration
        content = json.dumps({**used.content, "steps_left": left}, ensure_ascii=False)
        return ToolAnswer(call, content)

    async def _used(self, place: int, call: ToolCall) -> Used:
        tool = self._toolbox.tool(call.name)
        if tool is None:
            self._spent["retries"] += 1
            raise InvalidInputError("there is no such tool")
        if call.arguments is None:
            self._spent["retries"] += 1
            raise InvalidInputError("the arguments are no JSON object")
        if place >= MOST_CALLS:
            raise InvalidInputError(f"only {MOST_CALLS} calls at a time; call again")
        return await tool(call.arguments)

    async def _as_of_now(self, results: Sequence[SearchResult]) -> list[SearchResult]:
        """Look once more: what is gone or hidden meanwhile is not returned."""
        ids = list(dict.fromkeys(one.entity_id for one in results))
        now = {id_of(one): one for one in await self._toolbox.named(ids)}
        return [now[id_of(one)] for one in results if id_of(one) in now]

    async def _in_order(self, results: list[SearchResult]) -> list[SearchResult]:
        reranker = self._means.reranker
        if reranker is None or len(results) < 2:
            return results
        started = time.monotonic()
        ranked = await reranked(reranker, self._asked.query, results)
        if ranked is None:
            return results
        await self._tell(
            Reranking(
                duration_ms=_since(started),
                model=reranker.name,
                input_count=len(results),
                output_count=len(ranked),
                top_score=ranked[0].relevance_score,
                bottom_score=ranked[-1].relevance_score,
            )
        )
        return ranked

    async def _shown(self, results: list[SearchResult]) -> list[SearchResult]:
        asked, best = self._asked, dict[ResultId, SearchResult]()
        for one in results:
            best.setdefault(entity_of(one) if asked.is_grouped else id_of(one), one)
        page = list(best.values())[: asked.limit]
        return await self._means.in_context(asked.collection_id, asked.context, page)

    def _diagnostics(self, *, hit_the_most: bool) -> Diagnostics:
        notes, spent = self._notes, self._spent
        return Diagnostics(
            total_iterations=self._iteration,
            all_seen_entity_ids=list(
                dict.fromkeys(one.entity_id for one in notes.seen)
            ),
            all_read_entity_ids=list(notes.read_ids),
            all_collected_entity_ids=list(
                dict.fromkeys(one.entity_id for one in notes.collected.values())
            ),
            max_iterations_hit=hit_the_most,
            total_llm_retries=spent["retries"],
            stagnation_nudges_sent=self._nudges,
            prompt_tokens=spent["prompt"],
            completion_tokens=spent["completion"],
            cache_creation_input_tokens=spent["cache_written"],
            cache_read_input_tokens=spent["cache_read"],
        )


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)

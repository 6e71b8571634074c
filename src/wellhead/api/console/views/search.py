"""Searching from a collection's page, and the same search for programs to copy."""

import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from wellhead.api.console.visits import Visit
from wellhead.api.ground import ground_of
from wellhead.api.routes.search import means_of
from wellhead.domain import filters
from wellhead.domain.errors import NotConfiguredError, RequestError
from wellhead.domain.filters import Filter, FilterGroup, Operator
from wellhead.domain.search import Answer, InstantQuery, SearchResult, Strategy
from wellhead.search import classic, everywhere

TIERS = ("instant", "classic", "agentic")
LIMITS = (10, 25, 50, 100)
LONGEST_QUERY = 2_000
_TERM = re.compile(r"\w{2,}", re.UNICODE)
_MOST_TERMS = 32
_LITTLE = frozenset(
    "a an and are as at be by do does did for from has have how in is it its of on"  # noqa: SIM905  # one word a line would be harder to read
    " or that the this to was we were what when where which who why will you".split()
)
"""Words that say nothing by themselves: marking them would hide the others."""
_SHOWN_CHARACTERS = 700
_BEFORE_MATCH = 120
_FILTERS = (
    ("source", "airweave_system_metadata.source_name", Operator.EQUALS),
    ("type", "airweave_system_metadata.entity_type", Operator.EQUALS),
    ("connection", "airweave_system_metadata.sync_id", Operator.EQUALS),
    ("name", "name", Operator.CONTAINS),
    ("within", "breadcrumbs.name", Operator.CONTAINS),
    ("after", "updated_at", Operator.GREATER_THAN_OR_EQUAL),
    ("before", "updated_at", Operator.LESS_THAN),
)
"""What can be filled in, the field it is about, and how that is compared."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, as the page's form asks it."""

    query: str = ""
    tier: str = TIERS[0]
    strategy: Strategy = Strategy.HYBRID
    limit: int = LIMITS[0]
    filled: dict[str, str] = field(default_factory=dict)
    """What was filled in of the filters."""

    @property
    def conditions(self) -> list[dict[str, str]]:
        return [
            {"field": name, "operator": operator.value, "value": self.filled[one]}
            for one, name, operator in _FILTERS
            if one in self.filled
        ]

    @property
    def meant(self) -> Filter:
        found = [
            filters.condition(one["field"], Operator(one["operator"]), one["value"])
            for one in self.conditions
        ]
        return (FilterGroup(tuple(found)),) if found else ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A result and its text, cut where words of the question begin and end."""

    result: SearchResult
    shown: list[tuple[str, bool]]
    is_cut: bool
    share: float
    """How good it is beside the best one, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Found:
    """An answer, or why there is none."""

    passages: list[Passage] = field(default_factory=list)
    seconds: float = 0.0
    note: str | None = None
    error: str | None = None


def asked_of(visit: Visit) -> Asked:
    """Read a question; what makes no sense counts as not said."""
    tier, strategy = visit.asked("tier"), visit.asked("strategy")
    limit = visit.asked("limit")
    known = {one.value for one in Strategy}
    return Asked(
        query=visit.asked("q")[:LONGEST_QUERY],
        tier=tier if tier in TIERS else TIERS[0],
        strategy=Strategy(strategy) if strategy in known else Strategy.HYBRID,
        limit=int(limit) if limit in map(str, LIMITS) else LIMITS[0],
        filled={name: value for name, _, _ in _FILTERS if (value := visit.asked(name))},
    )


async def answer(visit: Visit, collection_id: UUID, asked: Asked) -> Found | None:
    """Search; an agentic search is followed by the page itself."""
    if not asked.query or asked.tier == "agentic":
        return None
    started = time.perf_counter()
    try:
        query = InstantQuery(
            collection_id=collection_id,
            query=asked.query,
            strategy=asked.strategy,
            filter=asked.meant,
            limit=asked.limit,
        )
        answered, note = await _results(visit, query, asked)
    except RequestError as error:
        return Found(error=error.message)
    seconds = time.perf_counter() - started
    return found_of(answered, asked, seconds, note)


def found_of(
    answered: Answer, asked: Asked, seconds: float, note: str | None = None
) -> Found:
    """Return what is shown of an answer, with what it lacks."""
    said = [note] if note else []
    said += [f"{one.source_name} is missing: {one.why}." for one in answered.silent]
    if answered.by_words is not None:
        said.append(f"It was searched by words only: {answered.by_words}.")
    shown = passages(answered.results, asked.query)
    return Found(shown, seconds, " ".join(said) or None)


async def _results(
    visit: Visit, query: InstantQuery, asked: Asked
) -> tuple[Answer, str | None]:
    parts = visit.parts
    if asked.tier == "classic":
        try:
            done = await classic.search(means_of(parts), query)
        except NotConfiguredError:
            note = (
                "No language model is configured (WELLHEAD_LLM), so this was an "
                "instant search."
            )
        else:
            why = done.why_plain
            said = None if why is None else f"This was an instant search: {why}."
            return done.answer, said
    else:
        note = None
    return await everywhere.search(ground_of(parts), query), note


def passages(results: Sequence[SearchResult], query: str) -> list[Passage]:
    """Mark the words of the question in each passage."""
    said = dict.fromkeys(one.lower() for one in _TERM.findall(query))
    terms = [one for one in said if one not in _LITTLE] or list(said)
    pattern = (
        re.compile(
            "|".join(rf"\b{re.escape(one)}" for one in terms[:_MOST_TERMS]), re.I
        )
        if terms
        else None
    )
    best = max((one.relevance_score for one in results), default=0) or 1
    return [
        Passage(one, *_marked(one.text, pattern), max(0, one.relevance_score / best))
        for one in results
    ]


def _marked(
    text: str, pattern: re.Pattern[str] | None
) -> tuple[list[tuple[str, bool]], bool]:
    first = pattern.search(text) if pattern else None
    begin = max(0, first.start() - _BEFORE_MATCH) if first else 0
    shown = text[begin : begin + _SHOWN_CHARACTERS]
    is_cut = len(shown) < len(text)
    return list(_cut(shown, pattern)), is_cut


def _cut(text: str, pattern: re.Pattern[str] | None) -> Iterator[tuple[str, bool]]:
    end = 0
    for found in pattern.finditer(text) if pattern else ():
        if found.start() > end:
            yield text[end : found.start()], False
        yield found.group(), True
        end = found.end()
    if end < len(text):
        yield text[end:], False


def calls(visit: Visit, readable_id: str, asked: Asked) -> dict[str, str]:
    """Return the same search for other programs, none of which holds a key."""
    root = str(visit.request.base_url).rstrip("/").removesuffix(visit.base)
    body: dict[str, Any] = {"query": asked.query or "your question"}
    if asked.tier == "instant":
        body["retrieval_strategy"] = asked.strategy.value
    body["limit"] = asked.limit
    if asked.conditions:
        body["filter"] = [{"conditions": asked.conditions}]
    written = json.dumps(body, ensure_ascii=False)
    quoted = written.replace("'", "'\\''")
    arguments = "".join(f"    {name}={value!r},\n" for name, value in body.items())
    tool = {
        "collection": readable_id,
        "query": body["query"],
        "strategy": asked.strategy.value,
        "limit": asked.limit,
        **({"filter": body["filter"]} if "filter" in body else {}),
    }
    return {
        "curl": f"curl {root}/collections/{readable_id}/search/{asked.tier} \\\n"
        '  -H "X-API-Key: $WELLHEAD_API_KEY" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d '{quoted}'",
        "Python": "import os\n\nfrom airweave import AirweaveSDK\n\n"
        f'client = AirweaveSDK(\n    api_key=os.environ["WELLHEAD_API_KEY"],\n'
        f'    base_url="{root}",\n)\n'
        f"found = client.collections.search.{asked.tier}(\n"
        f"    {readable_id!r},\n{arguments})\n"
        "for result in found.results:\n"
        "    print(result.name, result.textual_representation)",
        "MCP": f"# a client of {root}/mcp calls the tool “search” with\n"
        + json.dumps(tool, indent=2, ensure_ascii=False),
    }

"""What the tools of an agentic search do; all of it within what the user asked for."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from wellhead.domain.errors import InvalidInputError
from wellhead.domain.filters import Filter, FilterGroup, Operator, condition
from wellhead.domain.search import (
    InstantQuery,
    SearchResult,
    Silent,
    Strategy,
    WithoutVector,
)
from wellhead.search import everywhere
from wellhead.search.around import Around
from wellhead.search.counting import count_entities
from wellhead.search.events import AgenticQuery
from wellhead.search.means import Means
from wellhead.search.narrow import filter_of, narrowed
from wellhead.search.notes import Notes, summaries
from wellhead.search.plan import LONGEST_QUERY, strategy_of
from wellhead.search.tools import MOST_FOUND, MOST_NEIGHBOURS, MOST_READ

FOUND = 10
SNIPPET = 300
LONGEST_TEXT = 8_000
MOST_IDS = 500


@dataclass(frozen=True, slots=True)
class Used:
    """What a tool returned to the model, and what is told of it."""

    content: Mapping[str, Any]
    stats: Mapping[str, Any]
    is_last: bool = False


Tool = Callable[[Mapping[str, Any]], Awaitable[Used]]


class Toolbox:
    """The tools by name. They take words, ids and narrower filters from the model.

    Collection, principal and the user's filter are those of the query, for every tool.
    """

    def __init__(self, means: Means, asked: AgenticQuery, notes: Notes) -> None:
        self._means = means
        self._asked = asked
        self._notes = notes
        self._was_warned = False
        self._silent: dict[UUID, Silent] = {}
        self.by_words: str | None = None
        """Why searches were by words only, if they were."""
        self._around = Around(lambda made, limit: self.find(made, limit=limit))
        self._tools: dict[str, Tool] = {
            "search": self._search,
            "read": self._read,
            "add_to_results": self._add,
            "remove_from_results": self._remove,
            "count": self._count,
            "get_children": self._children,
            "get_siblings": self._siblings,
            "get_parent": self._parent,
            "review_results": self._review,
            "return_results_to_user": self._finish,
        }

    def tool(self, name: str) -> Tool | None:
        return self._tools.get(name)

    @property
    def silent(self) -> tuple[Silent, ...]:
        """The federated connections that did not answer; they are asked once."""
        return tuple(self._silent.values())

    async def find(self, made: Filter, *, limit: int) -> list[SearchResult]:
        """Look up what is indexed, also where nobody can tell what is nearest."""
        within = replace(
            self._within(made),
            strategy=Strategy.SEMANTIC,
            limit=limit,
            without_vector=WithoutVector.UNRANKED,
        )
        return await self._means.find(within)

    async def named(self, ids: list[str]) -> list[SearchResult]:
        """Return what has one of these ids now, in the order of the ids.

        What was found live is as it was seen: nothing of it is stored.
        """
        if not ids:
            return []
        has_id = FilterGroup((condition("entity_id", Operator.IN, ids),))
        found = await self.find((has_id,), limit=max(100, 4 * len(ids)))
        seen = [one for entity_id in ids for one in self._notes.named(entity_id)]
        found += [one for one in seen if one.is_live]
        places = {one: place for place, one in enumerate(ids)}
        return sorted(found, key=lambda one: places.get(one.entity_id, len(ids)))

    async def _search(self, given: Mapping[str, Any]) -> Used:
        query = given.get("query")
        if not isinstance(query, str) or not query.strip():
            raise InvalidInputError("search needs a query")
        asked = replace(
            self._within(filter_of(given.get("filter_groups"))),
            limit=_number(given, "limit", FOUND, range(1, MOST_FOUND + 1)),
            query=query[:LONGEST_QUERY],
            strategy=strategy_of(given.get("retrieval_strategy")),
            offset=_number(given, "offset", 0, range(10_000)),
            is_grouped=self._asked.is_grouped,
            recency=self._asked.recency,
            without_vector=WithoutVector.BY_WORDS,
        )
        answer = await everywhere.search(self._means, asked, without=self._silent)
        self._silent |= {one.connection_id: one for one in answer.silent}
        self.by_words = self.by_words or answer.by_words
        found = answer.results
        stats = {
            "result_count": len(found),
            "new_results": self._notes.see(found),
            "first_results": summaries(found),
        }
        told: dict[str, Any] = {"results": [_brief(one) for one in found]}
        if answer.by_words:
            told["searched_by_words_only"] = answer.by_words
        if self._silent:
            told["sources_that_did_not_answer"] = [
                f"{one.source_name}: {one.why}" for one in self.silent
            ]
        return Used(told, stats)

    async def _read(self, given: Mapping[str, Any]) -> Used:
        ids = _ids(given)[:MOST_READ]
        more = _number(given, "neighbours", 0, range(MOST_NEIGHBOURS + 1))
        found = await self.named(ids)
        around = await self._around.passages(found, more) if more and found else []
        self._notes.see([*found, *around])
        self._notes.read_ids |= {one.entity_id: None for one in found}
        missing = [one for one in ids if one not in {each.entity_id for each in found}]
        stats = {
            "found": len(found),
            "not_found": len(missing),
            "entities": summaries(found),
            "context_label": f"with {more} before and after" if more else None,
        }
        content = {
            "passages": [_whole(one) for one in found],
            "around": [_whole(one) for one in around],
            "not_found": missing,
        }
        return Used(content, stats)

    async def _add(self, given: Mapping[str, Any]) -> Used:
        ids = _ids(given)
        added = [one for entity_id in ids for one in self._notes.collect(entity_id)]
        missing = [one for one in ids if not self._notes.named(one)]
        new = {one.entity_id for one in added}
        stats = {
            "added": len(new),
            "already_collected": len(ids) - len(missing) - len(new),
            "not_found": len(missing),
            "total_collected": len(self._notes.collected),
            "entities": summaries(added),
        }
        told = {name: stats[name] for name in ("added", "total_collected")}
        return Used({**told, "not_found_search_or_read_them_first": missing}, stats)

    async def _remove(self, given: Mapping[str, Any]) -> Used:
        ids = _ids(given)
        gone = [one for entity_id in ids for one in self._notes.drop(entity_id)]
        dropped = {one.entity_id for one in gone}
        stats = {
            "added": 0,
            "already_collected": len(dropped),
            "not_found": len(ids) - len(dropped),
            "total_collected": len(self._notes.collected),
            "entities": summaries(gone),
        }
        return Used({"total_collected": stats["total_collected"]}, stats)

    async def _count(self, given: Mapping[str, Any]) -> Used:
        within = self._within(filter_of(given.get("filter_groups")))
        count, is_all = await count_entities(self._means, within)
        told = {"entities": count, "there_may_be_more": not is_all}
        return Used(told, {"count": count})

    async def _children(self, given: Mapping[str, Any]) -> Used:
        entity_id = _id(given)
        named = await self._known(entity_id)
        found = await self._around.children(entity_id, named)
        return self._listed(found, f"children of {_label(entity_id, named)}")

    async def _siblings(self, given: Mapping[str, Any]) -> Used:
        entity_id = _id(given)
        named = await self._known(entity_id)
        found = await self._around.siblings(_one(named, entity_id))
        return self._listed(found, f"siblings of {_label(entity_id, named)}")

    async def _parent(self, given: Mapping[str, Any]) -> Used:
        entity_id = _id(given)
        named = await self._known(entity_id)
        found = await self._around.parent(_one(named, entity_id))
        return self._listed(found, f"parent of {_label(entity_id, named)}")

    async def _review(self, _given: Mapping[str, Any]) -> Used:
        collected = list(self._notes.collected.values())
        entities = {(one.sync_id, one.original_entity_id) for one in collected}
        stats = {
            "total_collected": len(collected),
            "entity_count": len(entities),
            "first_results": summaries(collected),
        }
        return Used({"collected": [_brief(one) for one in collected]}, stats)

    async def _finish(self, _given: Mapping[str, Any]) -> Used:
        total = len(self._notes.collected)
        warning = None
        if not total and self._notes.seen and not self._was_warned:
            self._was_warned = True
            warning = "Nothing is collected. Call again if there is nothing to return."
        stats = {
            "accepted": warning is None,
            "total_collected": total,
            "warning": warning,
        }
        return Used(stats, stats, is_last=warning is None)

    def _within(self, made: Filter) -> InstantQuery:
        return InstantQuery(
            collection_id=self._asked.collection_id,
            query=self._asked.query,
            filter=narrowed(self._asked.filter, made),
            principal=self._asked.principal,
        )

    async def _known(self, entity_id: str) -> list[SearchResult]:
        return self._notes.named(entity_id) or await self.named([entity_id])

    def _listed(self, found: list[SearchResult], label: str) -> Used:
        self._notes.see(found)
        stats = {
            "result_count": len(found),
            "context_label": label,
            "first_results": summaries(found),
        }
        return Used({"what": label, "results": [_brief(one) for one in found]}, stats)


def _one(named: list[SearchResult], entity_id: str) -> SearchResult:
    if not named:
        raise InvalidInputError(f"there is no passage '{entity_id[:200]}'")
    return named[0]


def _label(entity_id: str, named: list[SearchResult]) -> str:
    return named[0].name if named else entity_id[:200]


def _ids(given: Mapping[str, Any]) -> list[str]:
    ids = given.get("entity_ids")
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise InvalidInputError("entity_ids must be a list of ids")
    return list(dict.fromkeys(ids))[:MOST_IDS]


def _id(given: Mapping[str, Any]) -> str:
    entity_id = given.get("entity_id")
    if not isinstance(entity_id, str):
        raise InvalidInputError("entity_id must be an id")
    return entity_id


def _number(given: Mapping[str, Any], name: str, default: int, allowed: range) -> int:
    """Return the number that is meant; one beyond its bounds is taken for the bound."""
    number = given.get(name)
    if not isinstance(number, int):
        return default
    return min(max(number, allowed[0]), allowed[-1])


def _brief(one: SearchResult) -> dict[str, Any]:
    return {**_place(one), "text": one.text[:SNIPPET]}


def _whole(one: SearchResult) -> dict[str, Any]:
    return {**_place(one), "text": one.text[:LONGEST_TEXT]}


def _place(one: SearchResult) -> dict[str, Any]:
    updated = one.updated_at or one.created_at
    return {
        "entity_id": one.entity_id,
        "name": one.name,
        "entity_type": one.entity_type,
        "source_name": one.source_name,
        "path": [{"id": step.entity_id, "name": step.name} for step in one.breadcrumbs],
        "updated_at": updated and updated.isoformat(),
        "relevance_score": round(one.relevance_score, 4),
    }

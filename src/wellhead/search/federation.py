"""The federated connections of a collection: asked while the index is searched."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from wellhead.domain.search import InstantQuery, SearchResult, Silent
from wellhead.search.live_results import live_results
from wellhead.search.matches import may_pass
from wellhead.sources.base import FederatedSource, Source
from wellhead.sources.live import LiveDesk, SilentError
from wellhead.store.federated import LiveConnection, live_connections
from wellhead.store.reading import Reader

DEPTH = 100
"""What a connection adds to a search at most: always as much, so that pages agree."""
NOBODY: frozenset[UUID] = frozenset()

Open = Callable[[LiveConnection], Source]
"""Builds a connection's source, with its credentials and its tokens."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Asking:
    """Questions that are out; a leg for each, in the order of the connections."""

    tasks: list[asyncio.Task[list[SearchResult] | Silent]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.tasks)

    async def answers(self) -> tuple[list[list[SearchResult]], tuple[Silent, ...]]:
        """Return what each found, and who did not answer; waits no longer than told."""
        came = await asyncio.gather(*self.tasks)
        legs = [one for one in came if not isinstance(one, Silent)]
        return legs, tuple(one for one in came if isinstance(one, Silent))


@dataclass(frozen=True, slots=True)
class Federation:
    """What it takes to ask the connections of a collection."""

    open: Open
    desk: LiveDesk

    @asynccontextmanager
    async def asked(
        self, reads: Reader, query: InstantQuery, without: Collection[UUID] = NOBODY
    ) -> AsyncIterator[Asking]:
        """Ask all that the filter leaves; what is not answered at the end is dropped.

        Left out is who is named in `without`, having kept others waiting before.
        """
        asking = Asking()
        for one in await live_connections(reads, query.collection_id):
            is_meant = may_pass(one.short_name, str(one.id), query.filter)
            if is_meant and one.id not in without:
                asking.tasks.append(asyncio.create_task(self._ask(one, query)))
        try:
            yield asking
        finally:
            for task in asking.tasks:
                task.cancel()
            await asyncio.gather(*asking.tasks, return_exceptions=True)

    async def _ask(
        self, connection: LiveConnection, query: InstantQuery
    ) -> list[SearchResult] | Silent:
        def make() -> FederatedSource:
            return self._source(connection)

        words = query.query.encode("utf-8", "replace").decode("utf-8")
        try:
            found = await self.desk.ask(connection.id, make, words, DEPTH)
            return live_results(query, connection, found)
        except SilentError as error:
            return Silent(connection.id, connection.short_name, str(error))
        except Exception:  # other people's code: what it returned is no answer
            log.exception(
                "a federated source answered in no sense",
                connection_id=str(connection.id),
            )
            return Silent(connection.id, connection.short_name, "it failed")

    def _source(self, connection: LiveConnection) -> FederatedSource:
        source = self.open(connection)
        if not isinstance(source, FederatedSource):
            raise TypeError(f"{connection.short_name} is not searched live")
        return source

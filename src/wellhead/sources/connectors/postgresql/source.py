"""The PostgreSQL source: full listings by key, later runs by time of change."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from psycopg import AsyncConnection

from wellhead.domain.catalogue import Tested
from wellhead.domain.errors import CursorInvalidError
from wellhead.domain.items import (
    Checkpoint,
    Delete,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
    Seen,
)
from wellhead.sources.base import Source, SourceInfo
from wellhead.sources.connectors.postgresql.config import (
    PostgreSQLConfig,
    PostgreSQLCredentials,
)
from wellhead.sources.connectors.postgresql.login import connected
from wellhead.sources.connectors.postgresql.rows import (
    Page,
    Rows,
    high_water,
    pages_by_change,
    pages_by_key,
    ref_of,
    row_of,
)
from wellhead.sources.connectors.postgresql.tables import Table, find_tables
from wellhead.sources.rows import ENTITY_TYPE, key_of

# a transaction that began before the last run may commit after it
LOOK_BACK = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a token says: how far the run came that it belongs to.

    `since` holds for each table up to where earlier runs read it (None: this run is a
    full listing), `high` where the next run goes on, `after` the place in `table`.
    """

    since: dict[str, str | None] | None
    high: dict[str, str | None]
    done: tuple[str, ...] = ()
    table: str | None = None
    after: list[str] | None = None

    def token(self, choice: str) -> dict[str, Any]:
        run = {
            "high": self.high,
            "done": list(self.done),
            "table": self.table,
            "after": self.after,
        }
        return {"choice": choice, "since": self.since, "run": run}


class PostgreSQLSource(Source):
    """Each table is a scope. Later runs are incremental if all tables tell changes."""

    info = SourceInfo(
        short_name="postgresql",
        name="PostgreSQL",
        description="Rows of tables, views or one query of a database.",
        entity_types=(ENTITY_TYPE,),
        needs_trust=True,
        labels=("Database",),
        supports_continuous=True,
        is_incremental=True,
        tested=Tested.REAL_SERVER,
    )
    config_model = PostgreSQLConfig
    credentials_model = PostgreSQLCredentials
    config: PostgreSQLConfig
    credentials: PostgreSQLCredentials

    async def check(self) -> None:
        async with connected(self.config, self.credentials) as connection:
            for table in await find_tables(connection, self.config):
                async with aclosing(pages_by_key(connection, table, 1, None)) as pages:
                    await anext(pages, None)

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        """Yield tables one after the other, with a checkpoint after each page."""
        async with connected(self.config, self.credentials) as connection:
            tables = await find_tables(connection, self.config)
            progress = self._progress(cursor)
            if progress.table is None and not progress.done:
                # before the listing, so that what changes meanwhile comes again
                high = {one.label: await high_water(connection, one) for one in tables}
                progress = Progress(progress.since, high)
            is_full = progress.since is None
            yield ScopeStart()
            for table in tables:
                if table.label in progress.done:
                    continue
                yield ScopeStart(table.label)
                rows = Rows(table, connection.info.dbname)
                async with aclosing(self._pages(connection, table, progress)) as pages:
                    async for page in pages:
                        for row in page.rows:
                            yield rows.listed(row)
                        here = (progress.done, table.label, page.after)
                        yield self._checkpoint(progress, *here)
                yield ScopeEnd(table.label, complete=is_full)
                done = (*progress.done, table.label)
                progress = Progress(progress.since, progress.high, done)
                yield self._checkpoint(progress, done, None, None)
            yield ScopeEnd(complete=is_full)
            yield Checkpoint(self._finished(tables, progress))

    async def fetch(self, refs: Sequence[Ref]) -> AsyncIterator[Item]:
        """Yield the named rows; those of a table no longer read are gone too."""
        async with connected(self.config, self.credentials) as connection:
            found = await find_tables(connection, self.config)
            tables = {table.label: table for table in found}
            for ref in refs:
                label, key = key_of(ref)
                table = tables.get(label)
                row = None
                if table is not None and len(key) == len(table.key):
                    row = await row_of(connection, table, key)
                if table is None or row is None:
                    yield Delete(ref)
                else:
                    rows = Rows(table, connection.info.dbname)
                    yield rows.listed(row)

    async def ids(self) -> AsyncIterator[Item]:
        """Yield the key of every row."""
        size = max(self.config.page_size, 5_000)
        async with connected(self.config, self.credentials) as connection:
            yield ScopeStart()
            for table in await find_tables(connection, self.config):
                yield ScopeStart(table.label)
                listing = pages_by_key(connection, table, size, None, ids_only=True)
                async with aclosing(listing) as pages:
                    async for page in pages:
                        for row in page.rows:
                            yield Seen(ref_of(table, row))
                yield ScopeEnd(table.label)
            yield ScopeEnd()

    def _progress(self, cursor: dict[str, Any] | None) -> Progress:
        if cursor is None:
            return Progress(None, {})
        if cursor.get("choice") != self._choice():
            raise CursorInvalidError("other tables or columns were chosen")
        run = cursor.get("run")
        if run is not None:
            return Progress(
                cursor["since"],
                run["high"],
                tuple(run["done"]),
                run["table"],
                run["after"],
            )
        if cursor.get("since") is None:
            raise CursorInvalidError("not every table tells when its rows changed")
        return Progress(cursor["since"], {})

    def _pages(
        self, connection: AsyncConnection[Any], table: Table, progress: Progress
    ) -> AsyncGenerator[Page]:
        after = progress.after if progress.table == table.label else None
        size = self.config.page_size
        if progress.since is None or table.updated is None:
            return pages_by_key(connection, table, size, after)
        since = _earlier(progress.since.get(table.label))
        return pages_by_change(connection, table, size, since, after)

    def _checkpoint(
        self,
        progress: Progress,
        done: tuple[str, ...],
        table: str | None,
        after: list[str] | None,
    ) -> Checkpoint:
        here = Progress(progress.since, progress.high, done, table, after)
        return Checkpoint(here.token(self._choice()))

    def _finished(self, tables: list[Table], progress: Progress) -> dict[str, Any]:
        tells_changes = all(table.updated is not None for table in tables)
        high = progress.high if tells_changes else None
        return {"choice": self._choice(), "since": high, "run": None}

    def _choice(self) -> str:
        """A digest of what decides which rows are read and how they look."""
        chosen = self.config.model_dump(mode="json", exclude={"page_size", "ssl_mode"})
        return blake2b(json.dumps(chosen).encode(), digest_size=8).hexdigest()


def _earlier(moment: str | None) -> str | None:
    if moment is None:
        return None
    try:
        return (datetime.fromisoformat(moment) - LOOK_BACK).isoformat(" ")
    except (ValueError, OverflowError):
        return None  # before Christ, say: read everything

"""Rows of a PostgreSQL database, searched where they are instead of synced."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from psycopg import AsyncConnection
from psycopg.sql import SQL, Composable, Identifier
from pydantic import Field

from wellhead.domain.catalogue import Tested
from wellhead.domain.entities import Entity
from wellhead.sources.base import FederatedSource, SourceInfo
from wellhead.sources.connectors.postgresql.config import (
    PostgreSQLCredentials,
    TablesConfig,
)
from wellhead.sources.connectors.postgresql.login import connected
from wellhead.sources.connectors.postgresql.rows import (
    Rows,
    selected_columns,
    selected_key,
)
from wellhead.sources.connectors.postgresql.tables import Column, Table, find_tables
from wellhead.sources.rows import ENTITY_TYPE

LONGEST_TEXT = 2_000
"""In characters; of a longer one the parts that hold the words are shown."""
MOST_INDEXED = 200_000
"""As far as PostgreSQL's own limit of a text search vector is never reached."""
_VECTOR = "tsvector"
_EXCERPT = (
    'StartSel="", StopSel="", MaxFragments=4, MaxWords=60, MinWords=20, '
    'FragmentDelimiter=" … "'
)
# all words as asked, and any of them where the query uses no operators: people ask in
# sentences, of which few rows hold every word
_QUERY = """
(SELECT websearch_to_tsquery($1::text::regconfig, $2::text) AS whole,
   CASE WHEN $2::text ~* '["-]|(^|\\s)or(\\s|$)'
     THEN websearch_to_tsquery($1::text::regconfig, $2::text)
     ELSE replace(plainto_tsquery($1::text::regconfig, $2::text)::text,
       ' & ', ' | ')::tsquery
   END AS loose) AS q
"""
_SEARCH = """
SELECT {columns}, w.vector @@ q.whole AS is_whole,
  ts_rank_cd(w.vector, q.loose, 1)::float8 AS how_well,
  CASE WHEN length(w.words) > {longest}
    THEN ts_headline($1::text::regconfig, left(w.words, {most}), q.loose, {how})
  END, {key}
FROM {relation} AS t, {query},
  LATERAL (SELECT {vector} AS vector, {text} AS words) AS w
WHERE w.vector @@ q.loose
ORDER BY is_whole DESC, how_well DESC, {order} LIMIT $3
"""
Found = tuple[bool, float, Entity]


class PostgreSQLSearchConfig(TablesConfig):
    language: str = Field(
        "english",
        min_length=1,
        title="Language",
        description="PostgreSQL's text search configuration, such as english, german "
        "or simple.",
    )


class PostgreSQLSearchSource(FederatedSource):
    """Asks every table, by its own search vector if it has one."""

    info = SourceInfo(
        short_name="postgresql_search",
        name="PostgreSQL (searched live)",
        description="Rows of tables, views or one query, searched in the database.",
        entity_types=(ENTITY_TYPE,),
        needs_trust=True,
        labels=("Database",),
        tested=Tested.REAL_SERVER,
    )
    config_model = PostgreSQLSearchConfig
    credentials_model = PostgreSQLCredentials
    config: PostgreSQLSearchConfig
    credentials: PostgreSQLCredentials

    async def check(self) -> None:
        await self.search("check", 1)

    async def search(self, query: str, limit: int) -> Sequence[Entity]:
        found: list[Found] = []
        async with connected(self.config, self.credentials) as connection:
            for table in await find_tables(connection, self.config):
                found += await self._in_table(connection, table, query, limit)
        # a stable sort: what is equal stays in the order of tables and keys
        found.sort(key=lambda one: (not one[0], -one[1]))
        return [entity for _, _, entity in found[:limit]]

    async def _in_table(
        self, connection: AsyncConnection[Any], table: Table, query: str, limit: int
    ) -> list[Found]:
        plain, vector = _apart(table)
        asked = SQL(_SEARCH).format(
            columns=selected_columns(plain),
            longest=SQL(str(LONGEST_TEXT)),
            most=SQL(str(MOST_INDEXED)),
            how=_EXCERPT,
            key=selected_key(plain),
            vector=_vector(plain, vector),
            text=_text(plain),
            relation=plain.relation,
            query=SQL(_QUERY),
            order=SQL(", ").join(
                SQL("t.{}").format(Identifier(one.name)) for one in plain.key
            ),
        )
        values = (self.config.language, query.replace("\x00", " "), limit)
        rows = await (await connection.execute(asked, values)).fetchall()
        made = Rows(plain, connection.info.dbname)
        place = len(plain.columns)
        return [
            _found(made.listed(row).entity, *row[place : place + 3]) for row in rows
        ]


def _found(entity: Entity, is_whole: Any, rank: float, excerpt: str | None) -> Found:
    if excerpt:
        entity = replace(entity, text=excerpt)
    return bool(is_whole), rank, entity


def _apart(table: Table) -> tuple[Table, Column | None]:
    """Return the table without its search vectors, and the first of them."""
    vectors = [one for one in table.columns if one.kind == _VECTOR]
    names = {one.name for one in vectors}
    plain = replace(
        table,
        columns=tuple(one for one in table.columns if one.name not in names),
        texts=tuple(one for one in table.texts if one not in names),
    )
    return plain, vectors[0] if vectors else None


def _vector(table: Table, own: Column | None) -> Composable:
    """Return the table's own vector, which may be indexed, or one made of its texts."""
    if own is not None:
        return SQL("t.{}").format(Identifier(own.name))
    made = SQL("to_tsvector($1::text::regconfig, left({}, {}))")
    whole = made.format(_text(table), SQL(str(MOST_INDEXED)))
    if table.title is None:
        return whole
    title = SQL("coalesce(t.{}::text, '')").format(Identifier(table.title))
    named = made.format(title, SQL(str(MOST_INDEXED)))
    return SQL("setweight({}, 'A') || {}").format(named, whole)


def _text(table: Table) -> Composable:
    columns = SQL(", ").join(
        SQL("t.{}::text").format(Identifier(name)) for name in table.texts
    )
    return SQL("concat_ws(E'\\n', {})").format(columns)

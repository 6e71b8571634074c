"""What of the ledger a principal may see, as a condition on a row of `entity`."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wellhead.domain.entities import NOT_TOLD, Access
from wellhead.domain.principals import Principal
from wellhead.store.arrays import byteas, texts

MAY_SEE = """(
    %(names)s::text[] IS NULL
    OR e.meta -> 'is_public' = 'true'::jsonb
    OR e.meta -> 'viewers' ?| %(names)s::text[]
    OR (%(sees_unlisted)s
      AND e.meta ->> 'viewers' IS NULL AND e.meta ->> 'is_public' IS NULL)
  )
"""
"""Without a principal everything; the entity's row is `e`."""


def values_of(principal: Principal | None) -> dict[str, Any]:
    """Return the values that the condition takes."""
    if principal is None:
        return {"names": None, "sees_unlisted": False}
    return {"names": list(principal.names), "sees_unlisted": principal.sees_unlisted}


_LET_IN_FEWER = text(
    """
    UPDATE entity e SET meta = e.meta || jsonb_build_object(
      'is_public', e.meta -> 'is_public' = 'true' AND t.is_public = 'true',
      'viewers', CASE
        WHEN t.is_public = 'true' THEN e.meta -> 'viewers'
        WHEN e.meta -> 'is_public' = 'true' THEN t.viewers
        ELSE (SELECT coalesce(jsonb_agg(v), '[]') FROM jsonb_array_elements(
          CASE jsonb_typeof(e.meta -> 'viewers')
            WHEN 'array' THEN e.meta -> 'viewers' ELSE '[]' END) AS v
          WHERE t.viewers @> v)
      END)
    FROM (
      SELECT k AS entity_key, CAST(a AS jsonb) -> 'is_public' AS is_public,
        CAST(a AS jsonb) -> 'viewers' AS viewers,
        (CAST(a AS jsonb) -> 'is_told')::boolean AS is_told
      FROM unnest(CAST(:keys AS bytea[]), CAST(:told AS text[])) AS u(k, a)
    ) AS t
    WHERE e.connection_id = :connection_id AND e.entity_key = t.entity_key
      -- so the index is used, whatever the planner knows of the table
      AND e.entity_key = ANY(CAST(:keys AS bytea[]))
      -- nobody told who may see it, and who may now is not everybody: then nobody
      AND (e.meta ->> 'viewers' IS NOT NULL OR e.meta ->> 'is_public' IS NOT NULL
        OR t.is_told AND t.is_public <> 'true')
    """
)


async def let_in_fewer(
    connection: AsyncConnection, connection_id: UUID, told: Mapping[bytes, Access]
) -> None:
    """Shut out whoever may not see an entity any more whose new content failed.

    Nobody is let in: what is shown is still the old content, which may be for fewer.
    """
    values = [
        json.dumps(
            {
                "is_public": one.is_public,
                "viewers": list(one.viewers or ()),
                "is_told": one != NOT_TOLD,
            }
        )
        for one in told.values()
    ]
    await connection.execute(
        _LET_IN_FEWER,
        {"connection_id": connection_id, "keys": byteas(told), "told": texts(values)},
    )

"""The connections of a collection that are asked at every search."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from wellhead.domain.connections import AuthMethod
from wellhead.store.reading import Reads

_LIVE = """
SELECT s.id, s.short_name, s.config, s.auth_method, k.ciphertext
FROM source_connection s
JOIN collection c ON c.id = s.collection_id
LEFT JOIN credential k ON k.connection_id = s.id
WHERE s.collection_id = %(collection)s AND s.is_federated AND s.is_authenticated
  AND NOT s.is_deleting AND NOT c.is_deleting
  AND NOT EXISTS (SELECT FROM consent q WHERE q.connection_id = s.id
    AND q.granted_at IS NOT NULL AND q.verified_at IS NULL)
ORDER BY s.created_at, s.id
"""


@dataclass(frozen=True, slots=True)
class LiveConnection:
    """What it takes to ask it."""

    id: UUID
    short_name: str
    config: dict[str, Any]
    auth_method: AuthMethod
    ciphertext: bytes | None


async def live_connections(reads: Reads, collection_id: UUID) -> list[LiveConnection]:
    return await reads.fetch(_LIVE, {"collection": collection_id}, _connection)


def _connection(*row: Any) -> LiveConnection:
    ident, short_name, config, auth_method, ciphertext = row
    return LiveConnection(
        ident, short_name, config, AuthMethod(auth_method), ciphertext
    )

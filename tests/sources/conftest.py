"""The servers that sources are tested on, and a worker that syncs from them."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert
from tests.bench import Bench, bench
from tests.servers.file_servers import sftp, webdav
from tests.servers.mail_servers import dovecot, poor_dovecot
from tests.servers.object_stores import azure_blob, gcs, s3
from tests.servers.web_servers import nginx

from wellhead.sources.registry import Registry
from wellhead.store.schema import credential

__all__ = [
    "azure_blob",
    "bench",
    "dovecot",
    "gcs",
    "nginx",
    "poor_dovecot",
    "s3",
    "sftp",
    "webdav",
]

Connect = Callable[[str, dict[str, Any], dict[str, Any]], Awaitable[Bench]]


@pytest.fixture
def connect(bench: Bench) -> Connect:
    """Point the bench's connection at a real source, with its credentials sealed."""

    async def connected(
        short_name: str, config: dict[str, Any], secrets: dict[str, Any]
    ) -> Bench:
        object.__setattr__(bench.parts, "sources", Registry.load(include_demo=False))
        limits = replace(bench.parts.limits, private_sources=True)
        object.__setattr__(bench.parts, "limits", limits)
        await bench.execute(
            "UPDATE source_connection SET short_name = :s, config = CAST(:c AS jsonb)",
            s=short_name,
            c=json.dumps(config),
        )
        async with bench.parts.db.begin() as connection:
            await connection.execute(
                insert(credential).values(
                    connection_id=bench.connection_id,
                    ciphertext=bench.parts.cipher.encrypt(secrets),
                    modified_at=datetime.now(UTC),  # noqa: TID251  # the real time
                )
            )
        return bench

    return connected

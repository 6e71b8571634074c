"""Jobs of a source whose vendor is a stand-in on a real server."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from tests.bench import Bench

from wellhead.sources.http import ApiSource
from wellhead.sources.registry import Registry
from wellhead.sources.testing.faults import Reply
from wellhead.sources.testing.server import VendorServer
from wellhead.store import connections


@dataclass(frozen=True)
class Vendor:
    """A source, what its connection knows, and who answers below which path."""

    kind: type[ApiSource]
    credentials: dict[str, Any]
    path: str
    answer: Callable[[httpx.Request], httpx.Response]


@asynccontextmanager
async def connected(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, vendor: Vendor
) -> AsyncIterator[Bench]:
    """Connect the bench to the vendor, whose limit of requests does not count here."""
    kind = vendor.kind
    parts = replace(bench.parts, sources=Registry.load(include_demo=False))
    await bench.configure(kind.info.short_name)
    async with bench.parts.db.begin() as connection:
        sealed = bench.parts.cipher.encrypt(vendor.credentials)
        await connections.save_credential(
            connection, bench.connection_id, sealed, at=bench.parts.clock.now()
        )
    async with VendorServer(lambda request: Reply(vendor.answer(request))) as server:
        local = f"http://127.0.0.1:{server.port}{vendor.path}"
        monkeypatch.setattr(kind, "api", replace(kind.api, base_url=local))
        monkeypatch.setattr(kind, "info", replace(kind.info, rate_limit=None))
        yield replace(bench, desk=replace(bench.desk, parts=parts), parts=parts)

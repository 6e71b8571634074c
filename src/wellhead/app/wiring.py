"""The wiring: the only place that picks implementations and puts them together."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from pathlib import Path

from wellhead.app.embedders import FormerEmbedders, choose_embedder
from wellhead.app.home import Home
from wellhead.app.late_index import LateIndex
from wellhead.app.local import secret_keys
from wellhead.app.models import choose_language_model, choose_reranker
from wellhead.app.oauth_clients import read_oauth
from wellhead.app.settings import Settings
from wellhead.domain.ports import Index
from wellhead.domain.webhooks import WebhookPolicy
from wellhead.engine.procrastinate import JobEngine
from wellhead.services.parts import Limits, Parts
from wellhead.sources.live import LiveDesk
from wellhead.sources.registry import Registry
from wellhead.store.database import connect
from wellhead.store.reading import Reader
from wellhead.store.secrets import Cipher
from wellhead.sync.convert.converter import Converter
from wellhead.sync.convert.process import ConvertLimits


class SystemClock:
    """The machine's time."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251  # the one clock that all others take


@asynccontextmanager
async def open_parts(
    settings: Settings,
    url: str,
    *,
    embed_processes: int = 1,
    index_cache_bytes: int = 256 * 2**20,
) -> AsyncIterator[Parts]:
    """Open everything that one process needs on this database, and close it after."""
    home = Home(settings.data_dir)
    home.prepare()
    async with AsyncExitStack() as stack:
        db = connect(url)
        stack.push_async_callback(db.dispose)
        reads = Reader(url)
        await reads.open()
        stack.push_async_callback(reads.close)
        engine = JobEngine.at(url)
        await engine.open()
        stack.push_async_callback(engine.close)
        index = LateIndex(partial(open_index, home.index, index_cache_bytes))
        stack.push_async_callback(index.close)
        embedder = choose_embedder(settings, processes=embed_processes)
        stack.push_async_callback(embedder.close)
        former = FormerEmbedders(settings, processes=embed_processes)
        stack.push_async_callback(former.close)
        language_model = choose_language_model(settings)
        if language_model is not None:
            stack.push_async_callback(language_model.close)
        reranker = choose_reranker(settings)
        if reranker is not None:
            stack.push_async_callback(reranker.close)
        yield Parts(
            db=db,
            reads=reads,
            engine=engine,
            index=index,
            embedder=embedder,
            former=former.find,
            sources=Registry.load(include_demo=settings.enable_demo_sources),
            cipher=open_cipher(settings),
            clock=SystemClock(),
            limits=Limits(
                max_file_bytes=settings.max_file_bytes,
                min_free_bytes=settings.min_free_bytes,
                data_dir=settings.data_dir,
                private_sources=settings.sources_allow_private,
                agentic_seconds=settings.llm_seconds,
            ),
            live=LiveDesk(seconds=settings.federated_seconds),
            webhooks=WebhookPolicy(
                allow_private=settings.webhooks_allow_private,
                verify_endpoints=settings.webhooks_verify_endpoints,
                keep=timedelta(days=settings.webhooks_keep_days),
            ),
            oauth=read_oauth(settings),
            language_model=language_model,
            reranker=reranker,
        )


async def open_index(root: Path, cache_bytes: int) -> Index:
    """Load the index library, which takes a while, and open the index."""
    # in a thread: whatever else goes on in this process does not stand still
    await asyncio.to_thread(import_module, "wellhead.index.lance")
    from wellhead.index.lance import LanceIndex

    return await LanceIndex.open(root, cache_bytes=cache_bytes)


def open_cipher(settings: Settings) -> Cipher:
    """Use the configured keys, or the data directory's own, made at the first start."""
    if settings.secret_key is None:
        Home(settings.data_dir).secret("secret_key", Cipher.new_key())
    return Cipher(secret_keys(settings))


def open_converter(settings: Settings) -> Converter:
    """Return the converter of one worker."""
    limits = ConvertLimits(file_bytes=settings.max_file_bytes)
    return Converter(processes=embed_processes_of(settings), limits=limits)


def embed_processes_of(settings: Settings) -> int:
    """Return how many embedder processes one worker may have."""
    if settings.embed_processes:
        return settings.embed_processes
    return max(1, len(os.sched_getaffinity(0)) // max(1, settings.workers))

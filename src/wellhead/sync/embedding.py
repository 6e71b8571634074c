"""Vectors for a batch: reused where the text is known, made where it is not."""

import asyncio
import time
from collections.abc import Sequence

import numpy as np
import stamina

from wellhead.domain.errors import FailureStage, RetryableError
from wellhead.sync.batch import PART_CHUNKS, Part
from wellhead.sync.chunk import embedding_text
from wellhead.sync.failing import transient
from wellhead.sync.patience import spoken
from wellhead.sync.run import Matrix, Run, matrix

TRIES = 3
TEXTS = 256
"""So many in one call: each answer of the embedder is progress."""


async def vectors_of(run: Run, parts: Sequence[Part]) -> Matrix:
    """Return one row for each chunk of the parts, in order.

    A vector is taken from the entity's live version or from this job's memory when
    its text was embedded before. Raises RetryableError or EntityError.
    """
    dimension = run.tools.embedder.dimension
    hashes = [one for part in parts for one in part.text_hashes]
    rows = np.empty((len(hashes), dimension), dtype=np.float32)
    old = await _stored(run, parts, dimension)
    missing: dict[bytes, list[int]] = {}
    for position, digest in enumerate(hashes):
        row = old.get(digest)
        if row is None:
            row = run.vectors.get(digest)
        if row is None:
            missing.setdefault(digest, []).append(position)
        else:
            rows[position] = row
    if missing:
        await _embed(run, parts, missing, rows)
    return rows


async def _stored(
    run: Run, parts: Sequence[Part], dimension: int
) -> dict[bytes, Matrix]:
    """Read what the live versions have near these chunks: not a huge one as a whole."""
    olds = {p.loaded.known.version for p in parts if p.loaded.known is not None}
    if not olds:
        return {}
    near = range(
        min(part.start for part in parts) - PART_CHUNKS,
        max(part.end for part in parts) + PART_CHUNKS,
    )
    try:
        found = await run.tools.index.read_vectors(
            run.collection_id, sorted(olds), near
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise RetryableError(f"the index refused: {error}") from error
    return {digest: matrix(row, dimension)[0] for digest, row in found.items()}


async def _embed(
    run: Run,
    parts: Sequence[Part],
    missing: dict[bytes, list[int]],
    rows: Matrix,
) -> None:
    first = {positions[0] for positions in missing.values()}
    texts: list[str] = []
    position = 0
    for part in parts:
        for text in part.texts:
            if position in first:
                texts.append(embedding_text(part.loaded.entity.name, text))
            position += 1
    began = time.monotonic()
    made = np.concatenate(
        [
            await _ask(run, texts[start : start + TEXTS])
            for start in range(0, len(texts), TEXTS)
        ]
    )
    run.pace.note(len(texts), time.monotonic() - began)
    for digest, row in zip(missing, made, strict=True):
        rows[missing[digest]] = row
        run.vectors.put(digest, row)


async def _ask(run: Run, texts: Sequence[str]) -> Matrix:
    async for attempt in stamina.retry_context(
        on=RetryableError, attempts=TRIES, timeout=None
    ):
        with attempt:
            return await _answer(run, texts)
    raise RetryableError("the embedder was never asked")


async def _answer(run: Run, texts: Sequence[str]) -> Matrix:
    seconds = run.patience.seconds
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            vectors = await run.tools.embedder.embed(texts)
    except TimeoutError as error:
        if not limit.expired():
            raise RetryableError(str(error) or "the embedder timed out") from error
        run.patience.hung()
        slow = f"the embedder did not answer for {spoken(seconds)}"
        raise transient(slow, FailureStage.EMBED) from error
    run.patience.answered()
    return matrix(vectors, run.tools.embedder.dimension)

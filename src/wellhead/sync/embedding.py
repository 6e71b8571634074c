"""Vectors for a batch: reused where the text is known, made where it is not."""

import time
from collections.abc import Sequence

import numpy as np
import stamina

from wellhead.domain.errors import RetryableError
from wellhead.sync.batch import Loaded
from wellhead.sync.chunk import embedding_text
from wellhead.sync.run import Matrix, Run, matrix

TRIES = 3


async def vectors_of(run: Run, writes: Sequence[Loaded]) -> Matrix:
    """Return one row for each chunk of the batch, in order.

    A vector is taken from the entity's live version or from this job's memory when
    its text was embedded before. Raises RetryableError or EntityError.
    """
    dimension = run.tools.embedder.dimension
    hashes = [one for loaded in writes for one in loaded.text_hashes]
    rows = np.empty((len(hashes), dimension), dtype=np.float32)
    old = await _stored(run, writes, dimension)
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
        await _embed(run, writes, missing, rows)
    return rows


async def _stored(
    run: Run, writes: Sequence[Loaded], dimension: int
) -> dict[bytes, Matrix]:
    versions = [one.known.version for one in writes if one.known is not None]
    if not versions:
        return {}
    try:
        found = await run.tools.index.read_vectors(run.collection_id, versions)
    except (RuntimeError, OSError) as error:
        raise RetryableError(f"the index refused: {error}") from error
    return {digest: matrix(row, dimension)[0] for digest, row in found.items()}


async def _embed(
    run: Run,
    writes: Sequence[Loaded],
    missing: dict[bytes, list[int]],
    rows: Matrix,
) -> None:
    first = {positions[0] for positions in missing.values()}
    texts: list[str] = []
    position = 0
    for loaded in writes:
        for text in loaded.texts:
            if position in first:
                texts.append(embedding_text(loaded.entity.name, text))
            position += 1
    began = time.monotonic()
    made = matrix(await _ask(run, texts), run.tools.embedder.dimension)
    run.pace.note(len(texts), time.monotonic() - began)
    for digest, row in zip(missing, made, strict=True):
        rows[missing[digest]] = row
        run.vectors.put(digest, row)


async def _ask(run: Run, texts: Sequence[str]) -> memoryview:
    async for attempt in stamina.retry_context(
        on=RetryableError, attempts=TRIES, timeout=None
    ):
        with attempt:
            return await run.tools.embedder.embed(texts)
    raise RetryableError("the embedder was never asked")

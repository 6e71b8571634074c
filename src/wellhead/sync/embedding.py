"""Vectors for a batch: reused where the text is known, made where it is not."""

import asyncio
import time
from collections.abc import Iterable, Sequence

import numpy as np
import stamina

from wellhead.domain.errors import (
    EntityError,
    FailureStage,
    RefusedTextsError,
    RetryableError,
)
from wellhead.sync.batch import PART_CHUNKS, Part
from wellhead.sync.chunk import embedding_texts
from wellhead.sync.failing import transient
from wellhead.sync.patience import index_patience, spoken
from wellhead.sync.run import Matrix, Run, matrix

TRIES = 3
TEXTS = 256
"""So many in one call: each answer of the embedder is progress."""
MOST_REFUSED = 10_000
"""More are not remembered: a job with so many fails anyway."""


async def vectors_of(run: Run, parts: Sequence[Part]) -> Matrix:
    """Return one row for each chunk of the parts, in order.

    A vector is taken from the entity's live version or from this job's memory when
    its text was embedded before. Raises RetryableError or EntityError.
    """
    dimension = run.tools.embedder.dimension
    hashes = [one for part in parts for one in part.text_hashes]
    old = await _stored(run, parts, dimension)
    found: dict[int, Matrix] = {}
    missing: dict[bytes, int] = {}
    repeated: dict[int, int] = {}
    for position, digest in enumerate(hashes):
        row = old.get(digest)
        if row is None:
            row = run.vectors.get(digest)
        if row is not None:
            found[position] = row
        elif digest in missing:
            repeated[position] = missing[digest]
        else:
            missing[digest] = position
    run.pace.note_reuse(len(hashes), len(missing))
    _refuse_known(run, missing)
    made = await _embed(run, [*missing], _texts(parts, missing.values()))
    if len(missing) == len(hashes):
        return made  # as it is: most that is embedded is new
    rows = np.empty((len(hashes), dimension), dtype=np.float32)
    rows[[*missing.values()]] = made
    for position, row in found.items():
        rows[position] = row
    rows[[*repeated]] = rows[[*repeated.values()]]
    return rows


async def _stored(
    run: Run, parts: Sequence[Part], dimension: int
) -> dict[bytes, Matrix]:
    """Read what the live versions have near these chunks: not a huge one as a whole."""
    knowns = [part.loaded.known for part in parts if part.loaded.known is not None]
    # without a hash it is to be made anew, whatever it was made of
    olds = {known.version for known in knowns if known.content_hash}
    if not olds:
        return {}
    near = range(
        min(part.start for part in parts) - PART_CHUNKS,
        max(part.end for part in parts) + PART_CHUNKS,
    )
    try:
        async with index_patience():
            found = await run.tools.index.read_vectors(run.table_id, sorted(olds), near)
    except (RuntimeError, ValueError, OSError) as error:
        raise RetryableError(f"the index refused: {error}") from error
    return {digest: matrix(row, dimension)[0] for digest, row in found.items()}


def _texts(parts: Sequence[Part], positions: Iterable[int]) -> list[str]:
    texts = [
        text
        for part in parts
        for text in embedding_texts(part.loaded.entity.name, part.texts)
    ]
    return [texts[position] for position in positions]


def _refuse_known(run: Run, hashes: Iterable[bytes]) -> None:
    """Do not ask for what was refused a moment ago: each text is paid once."""
    for digest in hashes:
        if digest in run.refused:
            raise run.refused[digest]


async def _embed(run: Run, hashes: list[bytes], texts: Sequence[str]) -> Matrix:
    made = np.empty((len(texts), run.tools.embedder.dimension), dtype=np.float32)
    if not texts:
        return made
    began = time.monotonic()
    for start in range(0, len(texts), TEXTS):
        some = hashes[start : start + TEXTS]
        try:
            made[start : start + TEXTS] = await _ask(run, texts[start : start + TEXTS])
        except RefusedTextsError as error:
            _remember(run, some, error)
            raise
        run.vectors.put(some, made[start : start + TEXTS])
    run.pace.note(len(texts), time.monotonic() - began)
    return made


def _remember(run: Run, hashes: Sequence[bytes], error: RefusedTextsError) -> None:
    """Keep what the others were given, and which texts are to blame."""
    rows = matrix(error.vectors, run.tools.embedder.dimension)
    well = [place for place in range(len(hashes)) if place not in error.refused]
    run.vectors.put([hashes[place] for place in well], rows[well])
    told = EntityError(str(error), stage=error.stage, failure_class=error.failure_class)
    if len(run.refused) > MOST_REFUSED:
        run.refused.clear()
    run.refused.update((hashes[place], told) for place in error.refused)


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

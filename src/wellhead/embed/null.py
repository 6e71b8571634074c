"""Vectors without a model, for tests and benchmarks: equal texts, equal vectors."""

from collections.abc import Sequence
from functools import cache
from hashlib import blake2b, shake_128

import numpy as np
from numpy.typing import NDArray

from wellhead.domain.chunks import Vectors

DIMENSION = 384
DIGEST_BYTES = 8


class NullEmbedder:
    """Maps each text to a unit vector drawn by its hash; nearness means nothing."""

    name = "null"
    chunk_characters = 700

    def __init__(self, dimension: int = DIMENSION) -> None:
        self.dimension = dimension

    async def embed(self, texts: Sequence[str]) -> Vectors:
        digests = b"".join(
            blake2b(text.encode("utf-8", "replace"), digest_size=DIGEST_BYTES).digest()
            for text in texts
        )
        picks = np.frombuffer(digests, dtype=np.uint8).reshape(-1, DIGEST_BYTES)
        table = _table(self.dimension)
        rows: NDArray[np.float32] = table[0][picks[:, 0]]
        for position in range(1, DIGEST_BYTES):
            rows += table[position][picks[:, position]]
        rows /= np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, np.newaxis]
        return rows.data

    async def embed_query(self, text: str) -> Vectors:
        return await self.embed([text])

    async def close(self) -> None:
        """Nothing to release."""


@cache
def _table(dimension: int) -> NDArray[np.float32]:
    """One random row for each value of each byte; a text's vector is their sum."""
    noise = shake_128(b"null").digest(DIGEST_BYTES * 256 * dimension)
    return (
        np.frombuffer(noise, dtype=np.int8)
        .astype(np.float32)
        .reshape(DIGEST_BYTES, 256, dimension)
    )

"""A job remembers the vectors that it made, in bounded memory."""

import numpy as np

from wellhead.sync.run import VectorMemory

DIMENSION = 4
ROW_BYTES = 4 * DIMENSION


def found(memory: VectorMemory, *names: bytes) -> list[list[float] | None]:
    rows = map(memory.get, names)
    return [None if row is None else row.tolist() for row in rows]


def test_a_vector_is_found_by_its_text_until_newer_ones_need_the_room() -> None:
    memory = VectorMemory(limit_bytes=4 * ROW_BYTES)
    rows = np.arange(6 * DIMENSION, dtype=np.float32).reshape(-1, DIMENSION)

    memory.put([b"a", b"b"], rows[:2])
    memory.put([b"c", b"d"], rows[2:4])
    kept = found(memory, b"a", b"d")
    memory.put([b"e", b"f"], rows[4:])

    assert kept == rows[[0, 3]].tolist()
    assert found(memory, b"a", b"b") == [None, None]
    assert found(memory, b"c", b"f") == rows[[2, 5]].tolist()


def test_texts_that_two_batches_made_at_once_may_go_early_but_never_wrong() -> None:
    memory = VectorMemory(limit_bytes=3 * ROW_BYTES)
    row = np.ones((1, DIMENSION), dtype=np.float32)

    for name in (b"a", b"a", b"b", b"c"):
        memory.put([name], row)

    assert found(memory, b"a", b"b", b"c") == [None, [1.0] * 4, [1.0] * 4]

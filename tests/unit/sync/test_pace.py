"""How large a batch is follows from how quick the embedder is."""

from wellhead.sync.run import Pace, Speed


def test_a_slow_embedder_gets_batches_of_about_two_seconds() -> None:
    pace = Pace()
    for _ in range(5):
        pace.note(pace.chunks, pace.chunks / 50)

    assert pace.chunks == 100


def test_a_quick_embedder_gets_large_batches_step_by_step() -> None:
    pace = Pace()
    sizes = []
    for _ in range(4):
        pace.note(pace.chunks, pace.chunks / 1e6)
        sizes.append(pace.chunks)

    assert sizes == [512, 4096, 32768, 262144]


def test_a_handful_of_chunks_teaches_nothing() -> None:
    pace = Pace()
    before = pace.chunks
    pace.note(1, 10.0)

    assert pace.chunks == before


def test_even_the_slowest_embedder_gets_a_batch() -> None:
    pace = Pace()
    pace.note(64, 3600)

    assert pace.chunks == Pace.FEWEST


def test_a_thread_reads_many_that_it_need_not_wait_for() -> None:
    speed = Speed()

    for _ in range(10):
        speed.note(speed.entities, 0.0001)

    assert speed.entities == Speed.MOST


def test_what_is_waited_for_is_read_one_by_one() -> None:
    speed = Speed()

    speed.note(speed.entities, 15 * 60)

    assert speed.entities == 1


def test_batches_that_need_no_embedding_grow_a_little() -> None:
    pace = Pace()
    pace.note_reuse(64, embedded=40)
    assert pace.chunks == 64

    for _ in range(3):
        pace.note_reuse(pace.chunks, embedded=3)

    assert pace.chunks == Pace.UNMEASURED

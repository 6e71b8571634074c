import gzip
from itertools import islice
from pathlib import Path

from bench.corpus import Place

from bench import corpus, task


def _library(folder: Path) -> list[Place]:
    folder.mkdir()
    for number in range(30):
        (folder / f"{number}.py").write_text(f"number = {number}\n" * 40)
    (folder / "again.py").write_text("number = 1\n" * 40)
    (folder / "binary.py").write_bytes(b"\0" * 400)
    (folder / "latin.txt").write_bytes(b"\xe9" * 400)
    (folder / "manual.1.gz").write_bytes(gzip.compress(b"how to use it\n" * 40))
    return [Place("library", folder, 1.0, suffixes=None)]


def test_a_corpus_is_the_same_each_time_and_as_large_as_asked(tmp_path: Path) -> None:
    places = _library(tmp_path / "library")

    first = corpus.build(tmp_path / "first", 250, places)
    second = corpus.build(tmp_path / "second", 250, places)

    assert first == second
    assert first.places == {"library": 31, "synthetic": 219}
    assert len(corpus.listed(tmp_path / "first")) == 250
    texts = {path.read_bytes() for path in corpus.listed(tmp_path / "first")}
    assert len(texts) == 250, "no content twice"
    assert b"how to use it\n" * 40 in texts


def test_a_change_touches_one_file_in_a_hundred_and_not_the_original(
    tmp_path: Path,
) -> None:
    original = tmp_path / "original"
    corpus.build(original, 250, [])
    before = {path: path.read_bytes() for path in corpus.listed(original)}
    for name in ("one", "two"):
        corpus.copy(original, tmp_path / name)
        assert corpus.change(tmp_path / name) == (3, 2)

    one, two = (dict(task.files(tmp_path / name)) for name in ("one", "two"))

    assert one == two, "the same changes each time"
    assert len(one) == 248
    assert sum(corpus.MARK in text for text in one.values()) == 3
    assert {path: path.read_bytes() for path in corpus.listed(original)} == before


def test_tickets_are_the_same_each_time() -> None:
    first = list(islice(corpus.tickets(1_000), 50))

    assert first == list(corpus.tickets(50))
    assert len({row[0] for row in first}) == 50


def test_cutting_loses_nothing_and_keeps_the_size() -> None:
    text = "".join(f"line {number} of a text\n" for number in range(500)) + "x" * 2_000

    pieces = list(task.cut(text))

    assert "".join(pieces) == text
    assert max(map(len, pieces)) <= task.CHUNK_CHARACTERS
    assert pieces[0].endswith("\n")


def test_a_tally_tells_a_wrong_chunk_and_not_the_order() -> None:
    pairs = [("a", "one"), ("a", "two"), ("b", "one")]

    assert task.tally(pairs) == task.tally(pairs[::-1])
    assert task.tally(pairs) != task.tally([("a", "one"), ("a", "2"), ("b", "one")])
    assert task.tally(pairs)["documents"] == 2

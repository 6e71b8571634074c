"""The demo's corpus."""

from pathlib import Path

from wellhead.app.demo import TEXT_BYTES, copy_corpus


def test_the_corpus_is_varied_small_and_always_the_same(tmp_path: Path) -> None:
    first = copy_corpus(tmp_path / "one", most=300)
    second = copy_corpus(tmp_path / "two", most=300)

    names = [file.relative_to(tmp_path / "one") for file in first]
    assert names == [file.relative_to(tmp_path / "two") for file in second]
    assert len(names) == 300
    assert not [name for name in names if any(p[0] == "." for p in name.parts)]
    assert len({file.suffix for file in first}) >= 5
    assert sum(file.stat().st_size for file in first) <= TEXT_BYTES

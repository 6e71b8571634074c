"""What `wellhead sync` understands."""

from pathlib import Path

import pytest

from wellhead.app.cli.target import Target, TargetError, read_target, with_lists


def test_a_folder_is_files_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stub").mkdir()
    monkeypatch.chdir(tmp_path)
    expected = {"path": str((tmp_path / "stub").resolve())}

    assert read_target("stub") == Target("file_system", expected, name="stub")
    assert read_target("./stub").config == expected


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/someone/something",
        "https://example.org/a/something.git",
        "git@example.org:a/something.git",
        "ssh://git@example.org/something",
    ],
)
def test_a_repository_is_known_by_its_url(url: str) -> None:
    found = read_target(url)

    assert (found.short_name, found.config) == ("git", {"url": url})
    assert found.name == "something"


def test_git_before_a_folder_means_its_repository(tmp_path: Path) -> None:
    found = read_target(f"git:{tmp_path}")

    assert (found.short_name, found.config) == ("git", {"url": str(tmp_path)})


def test_the_password_of_a_database_is_kept_apart() -> None:
    found = read_target("postgresql://me:p%40ss@db:5433/shop?sslmode=require")

    assert found.short_name == "postgresql"
    assert found.config == {"url": "postgresql://me@db:5433/shop?sslmode=require"}
    assert found.credentials == {"password": "p@ss"}
    assert "p@ss" not in repr(found)


def test_a_source_takes_pairs_and_json() -> None:
    found = read_target("timed", ["n=3", 'include=["a", "b"]', "x=a=b"], ["key=k"])

    assert found == Target(
        "timed", {"n": "3", "include": ["a", "b"], "x": "a=b"}, {"key": "k"}
    )


@pytest.mark.parametrize(
    ("what", "pairs"),
    [("No such thing!", []), ("timed", ["pair"]), ("timed", ["=v"]), ("t", ["a=[1"])],
)
def test_what_cannot_be_meant_is_refused(what: str, pairs: list[str]) -> None:
    with pytest.raises(TargetError):
        read_target(what, pairs)


def test_a_bare_value_stands_for_a_list_of_one() -> None:
    fields = [{"name": "include", "type": "array"}, {"name": "path", "type": "string"}]
    given = Target("file_system", {"include": "*.md", "path": "/x", "other": ["a"]})

    meant = with_lists(given, {"config_fields": {"fields": fields}})

    assert meant.config == {"include": ["*.md"], "path": "/x", "other": ["a"]}


def test_spaces_around_the_name_of_a_folder_are_no_part_of_a_name_for_people(
    tmp_path: Path,
) -> None:
    for folder, name in (("ab  ", None), (" notes ", "notes")):
        (tmp_path / folder).mkdir()

        assert read_target(str(tmp_path / folder)).name == name

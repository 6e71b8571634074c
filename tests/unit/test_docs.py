"""What the documents say is true of the code, as far as a program can tell."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.write_catalogue import written

from wellhead.app.settings import Settings, variable
from wellhead.domain.errors import ConfigError
from wellhead.domain.items import Failure, ScopeEnd, ScopeStart, Upsert
from wellhead.sources.base import Config, Source
from wellhead.sources.conformance import CHECKS
from wellhead.sources.registry import Registry
from wellhead.store.tables import metadata

ROOT = Path(__file__).parents[2]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))
HEADINGS = ["Context", "Decision", "Consequences", "Alternatives", "Files"]
LINK = re.compile(r"\[[^\]]*\]\((?!https?:)([^)]+)\)")
NAMED_PATH = re.compile(r"`((?:src|tests|docs|packages)/[\w./-]+?)(?::\w+)?`")
NAMED_TEST = re.compile(r"`(tests/[^`]*?)::([^`]*)`")
PROMISE = re.compile(r"^(?:- .*(?:\n +\S.*)*|\|.*)", re.MULTILINE)
TABLE_HEAD = re.compile(r"^\|.*\n\|[-|]+\|$", re.MULTILINE)
NO_PROMISES = {"The idea", "Not promised"}
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def _name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def _text(place: str) -> str:
    return (ROOT / place).read_text(encoding="utf-8")


def _anchors(file: Path) -> set[str]:
    """Return what GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


def _models() -> Iterator[tuple[str, type[Config]]]:
    for short_name, source in Registry.load(include_demo=True).by_name.items():
        yield short_name, source.config_model
        yield short_name, source.credentials_model


@pytest.mark.parametrize("file", DOCS, ids=_name)
def test_links_lead_somewhere(file: Path) -> None:
    for link in LINK.findall(FENCE.sub("", file.read_text("utf-8"))):
        place, _, anchor = link.partition("#")
        target = (file.parent / place).resolve() if place else file

        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


@pytest.mark.parametrize("file", DOCS, ids=_name)
def test_files_that_are_named_exist(file: Path) -> None:
    named = NAMED_PATH.findall(file.read_text("utf-8"))

    assert [one for one in named if not (ROOT / one).exists()] == []


@pytest.mark.parametrize("file", DOCS, ids=_name)
def test_tests_that_are_named_exist(file: Path) -> None:
    named = NAMED_TEST.findall(file.read_text("utf-8"))

    assert [one for one in named if not _is_test(*one)] == []


def _is_test(place: str, name: str) -> bool:
    if not name.startswith("test_") or not (ROOT / place).is_file():
        return False
    return re.search(rf"^(?:async )?def {name}\(", _text(place), re.M) is not None


def test_every_promise_names_the_test_that_keeps_it() -> None:
    sections = re.findall(
        r"^## (.+?)\n(.*?)(?=^## |\Z)", _text("docs/promises.md"), re.M | re.S
    )

    assert {title for title, _ in sections} > NO_PROMISES
    for title, body in sections:
        if title in NO_PROMISES:
            continue
        promises = PROMISE.findall(TABLE_HEAD.sub("", body))
        assert promises, title
        assert [one for one in promises if not NAMED_TEST.search(one)] == []


@pytest.mark.parametrize("file", DOCS, ids=_name)
def test_make_targets_that_are_named_exist(file: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", _text("Makefile"), re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([\w-]+)", file.read_text("utf-8"), re.MULTILINE)

    assert set(named) <= targets


@pytest.mark.parametrize("file", DOCS, ids=_name)
def test_settings_that_are_named_exist(file: Path) -> None:
    known = {variable(field) for field in Settings.model_fields}
    named = set(re.findall(r"WELLHEAD_(?!TEST_)[A-Z_]+[A-Z]", file.read_text("utf-8")))

    assert named <= known


def test_there_are_five_decisions_at_least() -> None:
    assert len(DECISIONS) >= 5


@pytest.mark.parametrize("file", DECISIONS, ids=_name)
def test_a_decision_is_short_and_has_its_five_parts(file: Path) -> None:
    lines = file.read_text("utf-8").splitlines()

    assert len(lines) <= 50
    assert [line[3:] for line in lines if line.startswith("## ")] == HEADINGS


def test_every_word_of_the_glossary_is_used_in_the_code() -> None:
    words = re.findall(r"^\| `(\w+)` \|", _text("docs/glossary.md"), re.MULTILINE)
    files = (ROOT / "src").rglob("*.py")
    code = set(re.findall(r"\w+", "\n".join(one.read_text("utf-8") for one in files)))

    assert len(words) > 40
    assert [word for word in words if word not in code] == []


def test_every_table_of_the_ledger_is_described() -> None:
    text = _text("docs/architecture.md")

    assert [one for one in metadata.tables if f"| `{one}` |" not in text] == []


def test_every_source_is_described_with_its_fields() -> None:
    text = _text("docs/sources.md")
    parts = dict(re.findall(r"^##+ `(\w+)`(.*?)(?=^##|\Z)", text, re.M | re.S))

    for short_name, model in _models():
        described = parts.get(short_name, "")
        assert described, short_name
        missing = [one for one in model.model_fields if f"`{one}`" not in described]
        assert missing == [], short_name


def test_the_table_of_sources_is_what_they_say_of_themselves() -> None:
    page = _text("docs/sources.md")

    assert page == written(page), "python -m tests.write_catalogue"


def _example() -> type[Source]:
    [code] = re.findall(
        r"^```python\n(.*?)^```$", _text("docs/writing-a-source.md"), re.M | re.S
    )
    names: dict[str, Any] = {"__name__": "notes"}
    exec(compile(code, "notes.py", "exec"), names)  # noqa: S102  # our own document
    found: type[Source] = names["NotesSource"]
    return found


async def test_the_example_of_a_source_reads_what_it_says(tmp_path: Path) -> None:
    file = tmp_path / "notes.json"
    file.write_text(
        '[{"id": "1", "title": "One", "body": "b", "changed": "2026-01-01T00:00:00Z"},'
        ' {"id": "2", "title": "Two"}]'
    )
    source = _example().create({"path": str(file)}, {})

    await source.check()
    start, note, broken, end = [item async for item in source.read(None)]

    assert isinstance(start, ScopeStart)
    assert isinstance(note, Upsert)
    assert (note.entity.name, note.entity.text) == ("One", "b")
    assert isinstance(broken, Failure)
    assert broken.ref is not None
    assert broken.ref.source_id == "2"
    assert end == ScopeEnd(complete=True)


@pytest.mark.parametrize("check", CHECKS)
async def test_the_example_of_a_source_conforms(tmp_path: Path, check: str) -> None:
    file = tmp_path / "notes.json"
    file.write_text(
        '[{"id": "1", "title": "One", "body": "b", "changed": "2026-01-01T00:00:00Z"}]'
    )
    example = _example()

    assert await CHECKS[check](lambda: example.create({"path": str(file)}, {})) == []


async def test_the_example_of_a_source_refuses_what_it_cannot_read(
    tmp_path: Path,
) -> None:
    source = _example().create({"path": str(tmp_path / "absent.json")}, {})

    with pytest.raises(ConfigError):
        await source.check()

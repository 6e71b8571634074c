"""Which sources are found."""

import logging
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from wellhead.domain.errors import NotFoundError
from wellhead.sources import registry
from wellhead.sources.registry import ENTRY_POINT_GROUP, Registry

DEMO = {
    "timed",
    "stub",
    "incremental_stub",
    "exception_stub",
    "file_stub",
    "bulk_stub",
}

THIRD_PARTY = """
from wellhead.sources.connectors.timed import TimedSource
from wellhead.sources.base import SourceInfo

def info(short_name):
    return SourceInfo(
        short_name=short_name, name="A tracker", description="", entity_types=("T",)
    )

class Tracker(TimedSource):
    info = info("tracker")

class Impostor(TimedSource):
    info = info("git")

not_a_source = 3
"""


def test_demo_sources_are_there_only_if_asked_for() -> None:
    everything = set(Registry.load(include_demo=True).by_name)

    assert set(Registry.load(include_demo=False).by_name) == everything - DEMO
    assert everything >= DEMO | {"file_system", "git", "postgresql"}


def test_sources_are_sorted_by_name() -> None:
    names = [one.info.name for one in Registry.load(include_demo=True).all()]

    assert names == sorted(names, key=str.casefold)


def test_a_source_is_found_by_its_short_name() -> None:
    found = Registry.load(include_demo=True)

    assert found.get("timed").info.short_name == "timed"
    with pytest.raises(NotFoundError, match=r"^Source 'gone' not found$"):
        found.get("gone")


def test_packages_add_sources_but_cannot_break_or_replace_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "third_party_kit.py").write_text(THIRD_PARTY)
    monkeypatch.syspath_prepend(tmp_path)
    points = EntryPoints(
        EntryPoint(name, f"third_party_kit:{name}", ENTRY_POINT_GROUP)
        for name in ("Tracker", "Impostor", "not_a_source", "missing")
    )
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    with caplog.at_level(logging.WARNING):
        found = Registry.load(include_demo=False)
    sys.modules.pop("third_party_kit")

    assert found.get("tracker").__name__ == "Tracker"
    assert found.get("git").__name__ == "GitSource"
    assert len(caplog.records) == 3

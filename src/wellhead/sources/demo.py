"""What the demo sources share: a key that is not checked, sentences, dates, files."""

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import blake2b
from pathlib import Path
from random import Random
from threading import Lock

from pydantic import Field

from wellhead.domain.entities import Blob
from wellhead.sources.base import Config

_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
WHO = (
    "The harbour office",
    "A night-shift engineer",
    "The archive team",
    "Our supplier in the north",
    "The new apprentice",
    "The river authority",
    "A careful reader",
    "The billing desk",
)
DID = (
    "measured",
    "rewrote",
    "postponed",
    "compared",
    "approved",
    "questioned",
    "mapped",
    "repaired",
)
WHAT = (
    "the pump schedule",
    "the quarterly water report",
    "a pressure sensor near the gate",
    "the list of open invoices",
    "the safety checklist",
    "the route of the eastern pipeline",
    "three years of rainfall records",
    "the contract for spare valves",
)
WHY = (
    "because the old numbers did not add up",
    "before the spring floods arrived",
    "after a long discussion about costs",
    "so that the next inspection goes faster",
    "while the main line was closed",
    "although nobody had asked for it",
    "to settle a question from last winter",
    "as the manual recommends",
)
TOPICS = ("Pumps", "Valves", "Invoices", "Rainfall", "Inspections", "Pipelines")


class StubCredentials(Config):
    """The stubs accept any key."""

    stub_key: str = Field(
        "stub",
        title="Stub key",
        description="Any value: the demo source does not check it.",
        repr=False,
        json_schema_extra={"is_secret": True},
    )


def numbers(seed: int, *index: int | str) -> Random:
    """Return the source of chance of one thing, the same in every run."""
    return Random(repr((seed, *index)))  # noqa: S311  # content, not cryptography


def sentence(chance: Random) -> str:
    """Return one sentence."""
    pick = chance.choice
    return f"{pick(WHO)} {pick(DID)} {pick(WHAT)} {pick(WHY)}."


def paragraph(chance: Random, sentences: int) -> str:
    """Return that many sentences, in paragraphs of five."""
    lines = [sentence(chance) for _ in range(sentences)]
    return "\n\n".join(
        " ".join(lines[start : start + 5]) for start in range(0, len(lines), 5)
    )


def date_of(index: int) -> datetime:
    """Return a date that is the same in every run and grows with the index."""
    return _EPOCH + timedelta(hours=index)


def version_of(*parts: object) -> str:
    """Return a version that changes when any of the parts does."""
    return blake2b(repr(parts).encode(), digest_size=8).hexdigest()


class TemporaryFiles:
    """A folder that comes with the first file and goes with `close`."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = Lock()  # files are opened in several threads

    def blob(self, name: str, content: Callable[[], bytes]) -> Blob:
        """Return a file that is written when it is opened."""
        return Blob(
            name=name, size=len(content()), open=partial(self._write, name, content)
        )

    def close(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _write(self, name: str, content: Callable[[], bytes]) -> Path:
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="wellhead-demo-")
        path = Path(self._folder.name) / name
        path.write_bytes(content())
        return path

"""The example of the document on declared sources is a source like any other."""

import re
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
from tests.vendors.tracker import Tracker

from wellhead.domain.items import Ref
from wellhead.sources.declared.loading import SCHEMA, load
from wellhead.sources.declared.source import source_of
from wellhead.sources.testing import vendor_suite

DOCUMENT = Path(__file__).parents[2] / "docs" / "declarative-sources.md"
[EXAMPLE] = re.findall(
    r"^```yaml\n(.*?)^```$", DOCUMENT.read_text("utf-8"), re.M | re.S
)


class DeclaredTracker(Tracker):
    source = source_of(load(EXAMPLE))  # type: ignore[assignment]  # instead of code

    def answer(self, request: httpx.Request) -> httpx.Response:
        answer = super().answer(request)
        answer.headers["date"] = format_datetime(self.now, usegmt=True)
        return answer

    def _write(self, ident: str) -> Ref:
        self.now += timedelta(seconds=119)  # the overlap is as long
        return super()._write(ident)


test_the_example_of_a_declared_source_conforms = vendor_suite(DeclaredTracker)


def test_the_document_explains_every_key() -> None:
    parts = [SCHEMA, *SCHEMA["$defs"].values()]
    keys = {key for part in parts for key in part.get("properties", {})}
    told = set(re.findall(r"`(\w+)`", DOCUMENT.read_text("utf-8")))

    assert len(keys) > 50
    assert keys <= told


def test_every_value_that_can_be_chosen_is_told() -> None:
    parts = [SCHEMA, *SCHEMA["$defs"].values()]
    fields = [one for part in parts for one in part.get("properties", {}).values()]
    values = {value for one in fields for value in one.get("enum", ())}
    told = set(re.findall(r"`(\w+)`", DOCUMENT.read_text("utf-8")))

    assert values > {"bearer", "graphql", "unix_ms"}
    assert values <= told

"""Whatever a file holds, it is a definition or a list of problems, and soon."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.sources.declared.test_loading import SMALL, problems, with_line

from wellhead.sources.base import Config
from wellhead.sources.declared.loading import load
from wellhead.sources.declared.marks import DefinitionError
from wellhead.sources.declared.shipped import shipped
from wellhead.sources.declared.source import source_of

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=8,
)


def judged(text: str) -> None:
    """A source can be made of it, or it is refused with at least one line."""
    try:
        definition = load(text)
    except DefinitionError as error:
        found = error.problems
    else:
        source_of(definition)
        return
    assert found
    assert all(one.line >= 1 for one in found)


@given(st.text())
def test_any_text(text: str) -> None:
    judged(text)


@given(st.text(alphabet="{}[]:-#&*!|>'\"%@`,? \n\tab1"))
def test_any_signs_of_yaml(text: str) -> None:
    judged(text)


@pytest.mark.parametrize(
    "text",
    [
        *("a: \ud800", "a: \x00", "\ufeff", "a: \x85b", "%TAG"),
        *('a: "\\0"', 'a: "\\ud800"', '"\\0": a'),
    ],
)
def test_odd_characters(text: str) -> None:
    problems(text)


def places(value: Any, where: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps: list[Any] = []
    if isinstance(value, dict):
        steps = list(value)
    elif isinstance(value, list):
        steps = list(range(len(value)))
    inner = [found for step in steps for found in places(value[step], (*where, step))]
    return [*([where] if where else []), *inner]


WHOLE = [
    json.loads(one.definition.model_dump_json(by_alias=True, exclude_unset=True))
    for one in shipped()
]


@given(st.data())
def test_any_value_in_any_place(data: st.DataObject) -> None:
    document = json.loads(json.dumps(data.draw(st.sampled_from(WHOLE))))
    where = data.draw(st.sampled_from(places(document)))
    inner = document
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = data.draw(values)

    judged(yaml.safe_dump(document, allow_unicode=True))


def test_a_shipped_definition_is_the_same_written_otherwise() -> None:
    for document in WHOLE:
        again = source_of(load(yaml.safe_dump(document)))
        [one] = [s for s in shipped() if s.info.short_name == again.info.short_name]
        assert again.digest == one.digest


@pytest.mark.parametrize(
    "name", sorted(name for name in dir(Config) if name[0].islower())
)
def test_a_field_does_not_hide_what_models_have(name: str) -> None:
    text = with_line("  team:\n", f"  {name}:\n")

    assert any("means something else" in one for one in problems(text))


@pytest.mark.parametrize(
    "line",
    [
        *('headers: {Authorization: "Bearer x"}', "headers: {Host: evil.example}"),
        *('headers: {"a b": c}', 'headers: {a: "b\\r\\nc: d"}', 'headers: {a: "ä"}'),
    ],
)
def test_headers_are_plain(line: str) -> None:
    assert any("headers" in one for one in problems(SMALL + line + "\n"))

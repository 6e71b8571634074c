"""Forms made from the fields of a source, and reading what people put into them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from wellhead.api.console.visits import Form
from wellhead.domain.errors import InvalidInputError, RequestError
from wellhead.services.catalogue import Field
from wellhead.services.validation import InvalidFieldsError

CONFIG, CREDENTIALS = "config", "credential"
WHOLE = ""
"""The field name of problems that belong to no field."""
Problems = dict[str, str]
_PLACES = {
    "body.config": CONFIG,
    "body.authentication.credentials": CREDENTIALS,
    "body.authentication.direct.credentials": CREDENTIALS,
}
_SAID = {"Value error, ": "", "String should have": "This needs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One field as it is drawn, with what is in it."""

    name: str
    field: Field
    value: str
    is_on: bool
    """For a switch: whether it is on."""

    @property
    def kind(self) -> str:
        if self.field.enum_values:
            return "choice"
        if self.field.type == "array":
            return "lines"
        if self.field.type == "boolean":
            return "switch"
        if self.field.is_secret:
            return "secret"
        return "number" if self.field.type == "number" else "text"


def inputs(
    group: str, fields: Sequence[Field], values: Mapping[str, Any]
) -> list[Input]:
    """Draw fields with these values, or with what is meant where there is none."""
    return [
        Input(
            name=f"{group}.{one.name}",
            field=one,
            value=_shown(values.get(one.name, one.default)),
            is_on=bool(values.get(one.name, one.default)),
        )
        for one in fields
    ]


def typed(group: str, fields: Sequence[Field], form: Form) -> list[Input]:
    """Draw fields as they were sent; secrets are not sent back."""
    return [
        Input(
            name=f"{group}.{one.name}",
            field=one,
            value="" if one.is_secret else form.raw(f"{group}.{one.name}"),
            is_on=form.has(f"{group}.{one.name}"),
        )
        for one in fields
    ]


def read(group: str, fields: Sequence[Field], form: Form) -> dict[str, Any]:
    """Return what was filled in; what was left empty is not there.

    Texts stay texts where a number is wanted but none was typed: the source says so.
    """
    found: dict[str, Any] = {}
    for one in fields:
        name = f"{group}.{one.name}"
        if one.type == "boolean":
            found[one.name] = form.has(name)
        elif one.type == "array":
            lines = form.raw(name).splitlines()
            found[one.name] = [line.strip() for line in lines if line.strip()]
            if not found[one.name] and not one.required:
                del found[one.name]
        elif (text := form.raw(name)).strip():
            found[one.name] = text if one.is_secret else typed_value(one, text)
    return found


def whole_number(text: str, *, most: int) -> int | None:
    """Return the number that a text is, or the most there can be; None of other texts.

    Python refuses to read numbers of thousands of digits.
    """
    if not text.isdecimal():
        return None
    return most if len(text) > len(str(most)) else min(int(text), most)


def typed_value(field: Field, text: str) -> str | int | float:
    """Return a number where one is wanted and was typed; else the text."""
    plain = text.strip()
    if field.type != "number":
        return plain
    try:
        number = float(plain)
    except ValueError:
        return plain
    if not math.isfinite(number):  # thousands of digits are not read as a whole one
        return plain
    return int(plain) if plain.lstrip("+-").isdecimal() else number


def problems_of(error: RequestError) -> Problems:
    """Return what is wrong by field, for a form to say it where it is."""
    if isinstance(error, InvalidFieldsError):
        return {_place(where): _plain(what) for where, what in error.problems}
    if isinstance(error, InvalidInputError) and error.field is not None:
        return {_place(error.field): error.message}
    return {WHOLE: error.message}


def problem_with(adapter: TypeAdapter[Any], value: object) -> str | None:
    """Return what is wrong with a value, None if nothing is."""
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        return _plain(error.errors(include_url=False)[0]["msg"])
    return None


def _place(where: str) -> str:
    for begins, group in _PLACES.items():
        if where == begins:
            return WHOLE
        if where.startswith(f"{begins}."):
            # of a list the whole field is named
            return f"{group}.{where.removeprefix(f'{begins}.').partition('.')[0]}"
    return where.rpartition(".")[2] if where.startswith("body.") else WHOLE


def _plain(said: str) -> str:
    for theirs, ours in _SAID.items():
        said = said.replace(theirs, ours)
    return said[:1].upper() + said[1:]


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return str(value)

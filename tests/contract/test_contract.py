"""Our document keeps every promise that clients of the public contract rely on."""

import json
import re
from pathlib import Path
from typing import Any, cast

import pytest
from tests.contract.differences import differences

from wellhead.api.application import create_app
from wellhead.services.parts import Parts

FACTS = json.loads(Path(__file__).with_name("facts.json").read_text("utf-8"))

ALLOWED = {
    r"query\.skip: maximum is 2147483647, not None$": "no list is that long",
    r"body\.offset: maximum is 2147483647(\.0)?, not None$": "no list is that long",
    r"body\.readable_id: maxLength is 255, not None$": "it has to fit an index",
    r"body\.query: maxLength is \d+, not None$": "an embedder reads no more",
    r"body\.query: pattern is \\S, not None$": "the contract answers 422, too",
    r"access_token: pattern is \\S, not None$": "the contract answers 422, too",
    r" 422\.detail: string is not expected$": (
        "its own answers are one sentence where a source's fields are wrong"
    ),
    r" 422\.detail\[\]\.loc\[\]: integer is not expected$": (
        "the contract says both; places in a list are numbers"
    ),
    r"error_category: 'config_invalid' is not expected$": (
        "an extension: clients take unknown words as text"
    ),
    r"^PATCH /source-connections/{source_connection_id} body\.authentication\.": (
        "it answers 422 to all but credentials, as the contract's prose says"
    ),
}


@pytest.fixture(scope="module")
def document() -> Any:
    # nothing is asked of the parts to say what the routes are
    return create_app(cast("Parts", None), auth=True).openapi()


def test_every_operation_takes_what_clients_send_and_answers_what_they_read(
    document: Any,
) -> None:
    found = differences(FACTS, document)

    assert [one for one in found if not _reason(one)] == []


def test_every_difference_that_is_allowed_exists(document: Any) -> None:
    found = differences(FACTS, document)

    for pattern in ALLOWED:
        assert any(re.search(pattern, one) for one in found), pattern


def _reason(difference: str) -> str | None:
    for pattern, reason in ALLOWED.items():
        if re.search(pattern, difference):
            return reason
    return None


def test_the_facts_hold_no_prose() -> None:
    for schema in FACTS["schemas"].values():
        for field in schema.get("properties", {}).values():
            assert not {"description", "title", "example", "examples"} & set(field)
    assert not re.search(r"\w+ \w+ \w+ \w+", json.dumps(FACTS))

"""Whatever is sent, the answer is one that the document names."""

import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import ServerError
from schemathesis.engine import events, from_schema
from schemathesis.python.asgi import shutdown_lifespans
from tests.contract.stage import Stage

from wellhead.api.openapi import describe, name_operation

SEED = 20261123
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "ignored_auth",
    "unsupported_method",
)
ENDLESS = r"/subscribe"
"""Streams that end with a job, if at all."""
NO_MODEL = "No LLM provider configured"
KNOWN_OF_FOUR = 3
"""So many of four requests name things that exist; one of these asks for no more."""
SELDOM = {
    "POST /collections/{readable_id}/search/agentic",  # there is no language model
    "GET /collections/{readable_id}/entities",  # these need two things that fit
    "DELETE /collections/{readable_id}/entities",
    "DELETE /collections/{readable_id}/entities/erased",
    "DELETE /api-keys",
    # no definition is made by chance
    "POST /sources",
    "GET /sources/{short_name}/definition",
    "DELETE /sources/{short_name}",
    # nobody gives consent here
    "POST /source-connections/{source_connection_id}/verify-oauth",
    "POST /source-connections/{source_connection_id}/reinitiate-oauth",
}
"""What is not expected to succeed by chance."""


@dataclass
class Findings:
    """What was answered how often by each operation, and what should not have been."""

    statuses: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def asked(self) -> int:
        return sum(len(one) for one in self.statuses.values())

    def note(self, event: Any) -> None:
        if isinstance(event, events.NonFatalError | events.FatalError):
            self.failures[f"error in {getattr(event, 'label', 'all')}"] = repr(event)
        if not isinstance(event, events.ScenarioFinished):
            return
        recorder = event.recorder
        for one in recorder.interactions.values():
            if one.response is not None:
                self.statuses[recorder.label].append(one.response.status_code)
        failed = [
            check.failure_info
            for checks in recorder.checks.values()
            for check in checks
            if check.failure_info is not None
        ]
        for info in failed:
            where = f"{recorder.label}: {info.failure.title}"
            what = f"{info.failure.message}\n{info.code_sample}"
            self.failures.setdefault(where, what)


@pytest.fixture
def stage(database_url: str, tmp_path: Path) -> Iterator[Stage]:
    yield Stage(database_url, tmp_path)
    shutdown_lifespans()


def _fuzz(
    app: Any, *, examples: int, seed: int = SEED, is_quick: bool = True
) -> Findings:
    """Ask for everything that the document names, and for what it does not."""
    slow_to_make_up = [
        {"include-path-regex": "/search/", "phases": {"fuzzing": {"enabled": False}}}
    ]
    config = SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "generation": {
                "max-examples": examples,
                "no-shrink": True,
                "database": "none",
            },
            "phases": {
                "examples": {"enabled": False},
                "stateful": {"enabled": False},
                "coverage": {"unexpected-methods": ["put"]},
                # what is invalid was listed by the phase before
                "fuzzing": {"generation": {"mode": "positive" if is_quick else "all"}},
            },
            "operations": slow_to_make_up if is_quick else [],
            "checks": {
                "enabled": False,
                **{name: {"enabled": True} for name in CHECKS},
            },
        }
    )
    schema = schemathesis.openapi.from_asgi(
        "/openapi.json", app, config=config
    ).exclude(path_regex=ENDLESS)
    known = getattr(app, "known", {})
    schema.config.update(
        headers={
            "x-api-key": getattr(app, "key", "none"),
            # read only where no key is taken
            "Authorization": f"Bearer {getattr(app, 'session_token', 'none')}",
        }
    )
    turns = itertools.count()

    def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
        turn = next(turns) % 4
        if turn == 0:
            case.query = {}
        if turn < KNOWN_OF_FOUR:
            # what is deleted is gone for those who come after: the last of each
            which = -1 if case.method.upper() == "DELETE" else 0
            for name in set(case.path_parameters or ()) & set(known):
                case.path_parameters[name] = known[name][which]

    def filter_failure(_context: Any, failure: Any, _case: Any, response: Any) -> bool:
        """Let it be told that there is no language model here."""
        is_told = response.status_code == 503 and NO_MODEL in response.text
        return not (is_told and isinstance(failure, ServerError))

    findings = Findings()
    schemathesis.hook(before_call)
    schemathesis.hook(filter_failure)
    try:
        for event in from_schema(schema).execute():
            findings.note(event)
    finally:
        schemathesis.hooks.unregister(before_call)
        schemathesis.hooks.unregister(filter_failure)
    return findings


def test_no_request_gets_an_answer_that_is_not_in_the_document(
    stage: Stage, tell: Callable[[str], None]
) -> None:
    found = _fuzz(stage, examples=3)

    tell(f"{found.asked} requests to {len(found.statuses)} operations")
    assert found.failures == {}
    assert {one for one, all_ in found.statuses.items() if 200 not in all_} <= SELDOM


@pytest.mark.soak
def test_no_request_of_very_many_gets_another_answer(
    stage: Stage, tell: Callable[[str], None]
) -> None:
    seed = random.randrange(2**32)  # noqa: S311  # nothing is a secret here
    found = _fuzz(stage, examples=200, seed=seed, is_quick=False)

    tell(f"{found.asked} requests, seed {seed}")
    assert found.failures == {}


class Answer(BaseModel):
    number: int


def test_what_is_planted_is_found() -> None:
    app = FastAPI(generate_unique_id_function=name_operation, version="1")
    describe(app)

    @app.get("/broken", tags=["health"])
    async def broken() -> Answer:
        raise ZeroDivisionError

    @app.get("/other", tags=["health"])
    async def other() -> Answer:
        return PlainTextResponse("no", status_code=418)  # type: ignore[return-value]

    @app.get("/wrong", tags=["health"])
    async def wrong() -> Answer:
        return PlainTextResponse(  # type: ignore[return-value]
            '{"number": "x"}', media_type="application/json"
        )

    failed = _fuzz(app, examples=1).failures

    assert set(failed) >= {
        "GET /other: Undocumented status code",
        "GET /wrong: Response violates schema",
    }
    assert any("broken" in where for where in failed)

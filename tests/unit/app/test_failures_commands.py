"""What commands ask and say about failures and deletes that are held."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from wellhead.app.cli import failures, make_app, server
from wellhead.app.cli.server import Server

CONNECTION = "7b0c1f0a-8f0e-4a53-a9a2-0c6a4f7d9a10"
PATH = f"/source-connections/{CONNECTION}"
JOB = {
    "id": "0f1e2d3c-0000-4000-8000-000000000001",
    "source_connection_id": CONNECTION,
    "status": "completed",
    "started_at": "2026-01-02T03:04:05Z",
    "duration_seconds": 1.0,
    "phase": None,
    "attempt": 1,
    "waiting_until": None,
    "error": None,
    **{f"entities_{n}": 0 for n in ("inserted", "updated", "deleted", "failed")},
}
HELD = {"count": 1400, "scopes": {"": 1400}, "confirm_with": "POST …"}


def failure(number: int, **more: Any) -> dict[str, Any]:
    return {
        "entity_key": f"{number:032x}",
        "source_id": f"docs/{number}.pdf",
        "scope": "",
        "stage": "convert",
        "class": "permanent",
        "reason": "encrypted",
        "attempts": 2,
        "failed_at": "2026-01-02T03:04:05Z",
        "next_retry_at": None,
        "retried_when": "source_version_or_pipeline_changes",
        **more,
    }


class Api:
    """A server that answers with what a test puts in it, and remembers requests."""

    def __init__(self) -> None:
        self.failures: list[dict[str, Any]] = []
        self.held: dict[str, Any] | None = None
        self.retries: list[dict[str, Any]] = []
        self.asked: list[httpx.Request] = []
        self.job: dict[str, Any] = JOB

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        match request.method, request.url.path:
            case "GET", path if path == f"{PATH}/failures":
                return self._page(request)
            case "POST", path if path == f"{PATH}/failures/retry":
                return httpx.Response(200, json=self.retries.pop(0))
            case "GET", path if path == PATH:
                return httpx.Response(
                    200, json={"id": CONNECTION, "deletes_held": self.held}
                )
            case "GET", path if path == f"{PATH}/jobs/{JOB['id']}":
                return httpx.Response(200, json=self.job)
            case "GET", path if path == f"{PATH}/jobs/{JOB['id']}/failures":
                return httpx.Response(200, json=[])
        return httpx.Response(404, json={"detail": "not found"})

    def _page(self, request: httpx.Request) -> httpx.Response:
        params = request.url.params
        limit, after = int(params["limit"]), int(params.get("after", "0"), 16)
        rows = [one for one in self.failures if int(one["entity_key"], 16) > after]
        headers = {"X-Total-Count": str(len(self.failures))}
        page = rows[:limit]
        if len(page) == limit:
            key = page[-1]["entity_key"]
            headers["Link"] = f'<{PATH}/failures?after={key}>; rel="next"'
        return httpx.Response(200, json=page, headers=headers)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    made = Api()

    @contextmanager
    def connect(url: str | None, data_dir: Path | None) -> Iterator[Server]:
        transport = httpx.MockTransport(made)
        with httpx.Client(transport=transport, base_url="http://wellhead") as client:
            yield Server(client)

    monkeypatch.setattr(server, "connect", connect)
    return made


Call = Callable[..., Any]


@pytest.fixture
def call() -> Call:
    def run(*words: str) -> Any:
        return CliRunner().invoke(make_app(), list(words))

    return run


def retry_answer(**more: Any) -> dict[str, Any]:
    return {
        "entities": 1,
        "scopes": 0,
        "not_found": [],
        "job": JOB,
        "is_started": True,
        "retried_in": "this_job",
        **more,
    }


def test_failures_of_a_connection_are_listed_in_the_order_of_their_names(
    api: Api, call: Call
) -> None:
    api.failures = [failure(n, source_id=f"{9 - n}.pdf") for n in range(1, 4)]
    api.failures.append(failure(4, source_id=None, entity_key="f" * 32))

    done = call("failures", CONNECTION, "--class", "permanent")

    found = json.loads(done.stdout)
    assert found["total"] == 4
    assert [one["source_id"] for one in found["failures"]] == [
        None,
        "6.pdf",
        "7.pdf",
        "8.pdf",
    ]
    assert dict(api.asked[0].url.params) == {"limit": "100", "class": "permanent"}


def test_a_long_list_is_read_page_by_page(
    api: Api, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "LARGEST_PAGE", 2)
    api.failures = [failure(n) for n in range(1, 8)]

    done = call("failures", "list", CONNECTION, "--limit", "5")

    assert len(json.loads(done.stdout)["failures"]) == 5
    assert [one.url.params["limit"] for one in api.asked] == ["2", "2", "1"]


def test_people_read_why_it_failed_and_when_it_is_tried_again(
    api: Api, call: Call
) -> None:
    api.failures = [
        failure(1),
        failure(2, source_id=None, scope="mail/inbox", reason="forbidden"),
        failure(3, source_id="soon.md", retried_when="next_job"),
    ]

    shown = call("failures", CONNECTION, "--no-json", "--limit", "3").stdout
    part = call("failures", CONNECTION, "--no-json", "--limit", "2").stdout
    api.failures = []
    nothing = call("failures", CONNECTION, "--no-json").stdout
    none_of_these = call("failures", CONNECTION, "--no-json", "--stage", "embed").stdout

    for said in ("docs/1.pdf", "encrypted", "when it changes", "in the next job"):
        assert said in shown
    assert "a part of mail/inbox" in shown
    assert "3 in quarantine" in shown
    assert "2 of them shown" in part
    assert nothing == "Nothing is in quarantine.\n"
    assert none_of_these == "Nothing of that kind is in quarantine.\n"


def test_only_what_is_named_is_asked_to_be_retried(api: Api, call: Call) -> None:
    api.retries = [retry_answer(not_found=["x"])]

    done = call("failures", "retry", CONNECTION, "a.pdf", "x", "--stage", "convert")

    assert done.exit_code == 0, done.output
    assert json.loads(api.asked[0].content) == {
        "source_ids": ["a.pdf", "x"],
        "stage": "convert",
        "class": None,
    }
    assert json.loads(done.stdout)["entities"] == 1


def test_retrying_what_is_not_there_is_refused(api: Api, call: Call) -> None:
    api.retries = [retry_answer(job=None, entities=0)]

    done = call("failures", "retry", CONNECTION, "typo.pdf")

    assert done.exit_code == 1
    assert "nothing of that is in quarantine" in str(done.exception)


def test_retrying_nothing_is_no_error(api: Api, call: Call) -> None:
    api.retries = [retry_answer(job=None, entities=0)]

    done = call("failures", "retry", CONNECTION, "--follow", "--no-json")

    assert (done.exit_code, done.stdout) == (
        0,
        "Nothing to try again is in quarantine.\n",
    )


def test_following_waits_for_the_job_that_tries_it(api: Api, call: Call) -> None:
    api.retries = [retry_answer(retried_in="next_job"), retry_answer()]
    api.failures = [failure(1)]

    done = call("failures", "retry", CONNECTION, "--follow")

    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["job"]["status"], told["in_quarantine"]) == ("completed", 1)
    assert api.retries == [], "asked again once the running job was over"


def test_following_a_job_that_fails_is_exit_status_one(api: Api, call: Call) -> None:
    api.retries = [retry_answer()]
    api.job = {**JOB, "status": "failed", "error": "boom"}

    assert call("failures", "retry", CONNECTION, "--follow").exit_code == 1


@pytest.mark.parametrize(
    "words", [("connections", "show", CONNECTION), ("jobs", "show", JOB["id"])]
)
def test_held_deletes_and_failures_come_with_the_command_that_settles_them(
    api: Api, call: Call, words: tuple[str, ...]
) -> None:
    api.held, api.failures = HELD, [failure(1), failure(2)]
    if words[0] == "jobs":
        words = (*words, "--connection", CONNECTION)
    confirm = f"wellhead connections run {CONNECTION} --confirm-deletes 1400"
    inspect = f"wellhead failures list {CONNECTION}"

    told = json.loads(call(*words).stdout)["next_steps"]
    shown = call(*words, "--no-json").stdout
    elsewhere = call(*words, "--url", "http://there", "--data-dir", "/a b").stdout
    api.held, api.failures = None, []
    calm = call(*words).stdout

    assert [one["command"] for one in told] == [confirm, inspect]
    assert "1,400 deletes are held" in shown
    assert f"  {confirm}\n" in shown
    assert f"  {inspect}\n" in shown
    assert f"{confirm} --url http://there --data-dir '/a b'" in elsewhere
    assert json.loads(calm)["next_steps"] == []

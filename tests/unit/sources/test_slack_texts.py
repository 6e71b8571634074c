"""What people wrote on Slack is readable text, and its errors say what to do."""

import json
from typing import Any

import httpx
import pytest

from wellhead.domain.errors import CredentialsError, RetryableError
from wellhead.sources.connectors.slack.complaints import complaint
from wellhead.sources.connectors.slack.markup import mentioned, readable, text_of
from wellhead.sources.connectors.slack.messages import is_root
from wellhead.sources.connectors.slack.names import person_name
from wellhead.sources.http import Answer, DeniedError, GoneError, RefusedError

NAMES = {"U1": "Ada", "C1": "general"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("hi <@U1>!", "hi @Ada!"),
        ("hi <@U9|zoe>", "hi @zoe"),
        ("hi <@U9>", "hi @U9"),
        ("in <#C1>", "in #general"),
        ("in <#C1|>", "in #general"),
        ("in <#C9|random>", "in #random"),
        ("<!here> <!channel|@channel> <!everyone>", "@here @channel @everyone"),
        ("<!subteam^S1|@devs> <!subteam^S2>", "@devs @group"),
        ("<!date^1392734382^{date}|Feb 18>", "Feb 18"),
        ("<https://a.example/?a=1&amp;b=2>", "https://a.example/?a=1&b=2"),
        ("<https://a.example|the docs>", "[the docs](https://a.example)"),
        ("<https://a.example|https://a.example>", "https://a.example"),
        ("<mailto:a@b.example|a@b.example>", "a@b.example"),
        ("<mailto:a@b.example>", "a@b.example"),
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2", "1 < 2 && 3 > 2"),
        ("&amp;lt;", "&lt;"),
        ("a < b", "a < b"),
        ("<>", "<>"),
        ("<@>", "@"),
        ("<!>", "@"),
    ],
)
def test_markup_is_read_as_people_see_it(text: str, expected: str) -> None:
    assert readable(text, NAMES) == expected


def test_only_names_that_are_not_told_are_asked_for() -> None:
    assert list(mentioned("<@U1> <@U2|bob> <#C1|> <#C2|x> <!here>")) == ["U1", "C1"]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"text": "said"}, "said"),
        (
            {
                "text": "",
                "blocks": [{"text": {"type": "mrkdwn", "text": "in a block"}}],
            },
            "in a block",
        ),
        (
            {"blocks": [{"elements": [{"elements": [{"text": "a"}, {"text": "b"}]}]}]},
            "a\nb",
        ),
        ({"blocks": [{"fields": [{"text": "x"}]}, "odd", None]}, "x"),
        (
            {"text": "see", "attachments": [{"title": "Build", "text": "failed"}]},
            "see\nBuild\nfailed",
        ),
        ({"attachments": [{"fallback": "A chart"}]}, "A chart"),
        (
            {"attachments": [{"fields": [{"title": "State", "value": "red"}]}]},
            "State: red",
        ),
        ({"text": "said", "attachments": [{"text": "said"}]}, "said"),
        ({}, ""),
    ],
)
def test_apps_say_things_in_other_places(
    message: dict[str, Any], expected: str
) -> None:
    assert text_of(message) == expected


@pytest.mark.parametrize(
    ("message", "is_one"),
    [
        ({"ts": "1.0", "text": "a"}, True),
        ({"ts": "1.0", "text": ""}, False),
        ({"ts": "1.0", "text": "", "files": [{"name": "a.pdf"}]}, True),
        ({"ts": "1.0", "text": "a", "thread_ts": "1.0"}, True),
        ({"ts": "2.0", "text": "a", "thread_ts": "1.0"}, False),
        ({"ts": "2.0", "text": "joined", "subtype": "channel_join"}, False),
        ({"ts": "2.0", "text": "a", "subtype": "bot_message"}, True),
        ({"ts": "2.0", "text": "", "subtype": "tombstone", "reply_count": 1}, True),
    ],
)
def test_what_begins_something_is_an_entity(
    message: dict[str, Any], is_one: bool
) -> None:
    assert is_root(message) is is_one


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (
            {"name": "a", "profile": {"display_name": "Ada", "real_name": "A. L."}},
            "Ada",
        ),
        ({"name": "a", "profile": {"display_name": "", "real_name": "A. L."}}, "A. L."),
        ({"name": "a"}, "a"),
        ({}, ""),
    ],
)
def test_people_are_called_as_they_chose(user: dict[str, Any], expected: str) -> None:
    assert person_name(user) == expected


def said(body: Any, **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(
        status=200,
        headers=httpx.Headers(headers),
        body=content,
        request="GET /api/x",
    )


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("invalid_auth", CredentialsError),
        ("token_revoked", CredentialsError),
        ("account_inactive", CredentialsError),
        ("not_in_channel", DeniedError),
        ("missing_scope", DeniedError),
        ("channel_not_found", GoneError),
        ("internal_error", RetryableError),
        ("ratelimited", RetryableError),
        ("invalid_cursor", RefusedError),
        ("of_tomorrow", RefusedError),
    ],
)
def test_an_error_in_a_good_answer_is_named_by_what_to_do(
    code: str, kind: type[Exception]
) -> None:
    found = complaint(said({"ok": False, "error": code}))

    assert type(found) is kind
    assert code in str(found)


def test_a_missing_scope_is_named() -> None:
    body = {"ok": False, "error": "missing_scope", "needed": "groups:history"}

    assert "needs the scope groups:history" in str(complaint(said(body)))


def test_a_limit_is_waited_for_as_long_as_slack_says() -> None:
    body = {"ok": False, "error": "ratelimited"}
    known, unknown = (
        complaint(said(body, **{"retry-after": "7"})),
        complaint(said(body)),
    )

    assert isinstance(known, RetryableError)
    assert isinstance(unknown, RetryableError)
    assert (known.after, unknown.after) == (7, 60)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"ok":true,', {"ok": True}])
def test_what_is_no_complaint_is_left_to_others(body: Any) -> None:
    assert complaint(said(body)) is None


def test_an_answer_without_a_verdict_is_asked_for_again() -> None:
    assert isinstance(complaint(said({"messages": []})), RetryableError)


def test_nothing_that_was_sent_is_repeated() -> None:
    found = complaint(said({"ok": False, "error": "no: Bearer xoxb-SECRET"}))

    assert "SECRET" not in str(found)

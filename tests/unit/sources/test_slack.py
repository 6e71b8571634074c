"""Slack's channels are read by threads, and what its history hides is found later."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from tests.vendors.slack import GENERAL, RANDOM, Team, ref_of

from wellhead.domain.entities import Entity
from wellhead.domain.errors import ConfigError, CredentialsError, EntityError
from wellhead.domain.items import Checkpoint, Delete, Item, Ref, ScopeEnd, Upsert
from wellhead.sources.connectors.slack import SlackConfig
from wellhead.sources.connectors.slack.messages import MESSAGE
from wellhead.sources.testing.reading import Outcome, take_all
from wellhead.sources.testing.stage import Stage, stage


@asynccontextmanager
async def team(records: int = 0) -> AsyncIterator[tuple[Stage, Team]]:
    async with stage(Team, records=records) as on:
        assert isinstance(on.vendor, Team)
        yield on, on.vendor


def of(found: Outcome, message: dict[str, Any]) -> Entity:
    return found.entities[ref_of(message).key]


async def written(on: Stage, message: dict[str, Any]) -> str:
    """The text of a thread, read while its source is open."""
    source = on.connect()
    try:
        async for item in source.read(None):
            if isinstance(item, Upsert) and item.key == ref_of(message).key:
                assert item.entity.blob is not None
                path = await asyncio.to_thread(item.entity.blob.open)
                return path.read_text()
    finally:
        await source.close()
    raise AssertionError("there is no such message")


async def items(on: Stage) -> list[Item]:
    source = on.connect()
    found = [one async for one in source.read(None)]
    await source.close()
    return found


async def listed(on: Stage) -> Outcome:
    """What the daily listing shows."""
    source = on.connect()
    ids = source.ids()
    assert ids is not None
    found = await take_all(ids)
    await source.close()
    return found


async def fetched(on: Stage, *refs: Ref) -> list[Item]:
    source = on.connect()
    fetching = source.fetch(refs)
    assert fetching is not None
    found = [one async for one in fetching]
    await source.close()
    return found


async def test_a_message_says_who_where_and_when() -> None:
    async with team() as (on, account):
        said = account.say("See <#C0002>, <@U2>: 1 &lt; 2", files=[{"name": "a.pdf"}])
        found = of(await on.first_read(), said)

    assert found.type == "SlackMessageEntity"
    assert found.source_id == f"{GENERAL}:{said['ts']}"
    assert found.name == "See #random, @Bob B.: 1 < 2"
    assert found.text == (
        "Ada on 2026-01-01 00:00 UTC in #general:\n"
        "See #random, @Bob B.: 1 < 2\nFiles: a.pdf\n"
    )
    link = f"https://acme.slack.com/archives/C0001/p{said['ts'].replace('.', '')}"
    assert found.url == link
    assert [one.name for one in found.breadcrumbs] == ["#general"]
    assert found.raw["files"] == ["a.pdf"]


async def test_a_thread_is_one_text() -> None:
    async with team() as (on, account):
        root = account.say("Is it down?")
        account.reply(root, "Yes.", user="U2")
        account.now += timedelta(minutes=5)
        account.reply(root, "<@U2> thanks")
        whole = await written(on, root)
        found = of(await on.first_read(), root)

    assert whole == (
        "Ada on 2026-01-01 00:00 UTC in #general:\nIs it down?\n\n"
        "Bob B. on 2026-01-01 00:00 UTC:\nYes.\n\n"
        "Ada on 2026-01-01 00:05 UTC:\n@Bob B. thanks\n"
    )
    assert found.raw["replies"] == 2


async def test_a_long_thread_says_everything_once() -> None:
    async with team() as (on, account):
        account.page = 50
        root = account.say("Root")
        for number in range(120):
            account.reply(root, f"Reply {number}.")
        whole = await written(on, root)

    assert whole.count("Root\n") == 1
    assert [whole.count(f"Reply {number}.\n") for number in range(120)] == [1] * 120


async def test_replies_and_comings_and_goings_are_no_entities() -> None:
    async with team() as (on, account):
        root = account.say("Root")
        reply = account.reply(root, "Also for the channel.")
        account.messages[GENERAL].append({**reply, "subtype": "thread_broadcast"})
        account.say("<@U2> has joined", subtype="channel_join")
        found = await on.first_read()

    assert list(found.entities) == [ref_of(root).key]


async def test_people_are_asked_for_together_and_strangers_once() -> None:
    async with team() as (on, account):
        account.strangers["U7"] = {"id": "U7", "name": "guest"}
        for _ in range(30):
            account.say("<@U7> and <@U8>", user="U2")
        found = await on.first_read()
        asked = [one.url.path.rpartition("/")[2] for one in account.requests]

    assert {one.name for one in found.entities.values()} == {"@guest and @U8"}
    assert (asked.count("users.list"), asked.count("users.info")) == (1, 2)


async def test_without_the_right_to_see_people_messages_are_read_all_the_same() -> None:
    async with team() as (on, account):
        account.complaints |= dict.fromkeys(
            ("users.list", "users.info"), "missing_scope"
        )
        said = account.say("Hello")
        found = of(await on.first_read(), said)

    assert (found.text or "").startswith("U1 on ")


async def test_a_late_reply_within_the_days_looked_back_is_read_by_the_next_job() -> (
    None
):
    async with team(20) as (on, account):
        first = await on.first_read()
        recent = account.messages[GENERAL][-2]
        account.reply(recent, "Late.")
        found = await on.read(cursor=first.checkpoint)

    assert of(found, recent).raw["replies"] == 1
    assert len(found.entities) < 8


async def test_a_late_reply_to_an_old_message_is_found_by_the_daily_listing() -> None:
    async with team(20) as (on, account):
        first = await on.first_read()
        old = account.messages[GENERAL][0]
        account.reply(old, "Very late.")
        job = await on.read(cursor=first.checkpoint)
        daily = await listed(on)

    assert ref_of(old).key not in job.entities
    assert of(daily, old).source_version != of(first, old).source_version


async def test_an_edit_of_an_old_message_is_found_by_the_daily_listing() -> None:
    async with team(20) as (on, account):
        first = await on.first_read()
        old = account.messages[GENERAL][0]
        account.edit(old, "Said otherwise.")
        daily = await listed(on)

    assert of(daily, old).source_version != of(first, old).source_version
    assert "otherwise" in (of(daily, old).text or "")


async def test_a_lively_thread_has_another_version_each_day_until_it_is_quiet() -> None:
    async with team() as (on, account):
        root = account.say("Root")
        account.reply(root, "Reply.")
        versions = []
        for days in (0, 0, 1, 1, 8, 9):
            account.now += timedelta(days=days)
            versions.append(of(await on.first_read(), root).source_version)

    assert versions[0] == versions[1]
    assert len({*versions[1:4]}) == 3
    assert versions[4] == versions[5]


async def test_another_reply_is_another_version() -> None:
    async with team() as (on, account):
        root = account.say("Root")
        account.reply(root, "One.")
        before = of(await on.first_read(), root)
        account.reply(root, "Two.")
        after = of(await on.first_read(), root)

    assert before.source_version != after.source_version


async def test_a_job_that_goes_on_asks_for_the_rest_and_keeps_its_beginning() -> None:
    async with team(700) as (on, account):
        tokens = [one.token for one in await items(on) if isinstance(one, Checkpoint)]
        middle = tokens[-2]
        account.now += timedelta(days=1)
        account.requests.clear()
        found = await on.read(cursor=middle)
        histories = [
            (one.url.params["channel"], one.url.params.get("cursor"))
            for one in account.requests
            if one.url.path.endswith("history")
        ]

    assert histories == [(RANDOM, middle["page"])]
    assert (found.checkpoint or {})["since"] == middle["until"]


async def test_a_channel_that_the_app_left_is_gone_and_no_other() -> None:
    async with team(12) as (on, account):
        first = await on.first_read()
        account.left.add(RANDOM)
        found = await on.read()

    assert set(found.lost(first)) == {
        ref_of(one).key for one in account.messages[RANDOM]
    }


async def test_a_channel_that_is_closed_while_it_is_read_loses_nothing() -> None:
    async with team(12) as (on, account):
        first = await on.first_read()
        account.complaints["conversations.history"] = "not_in_channel"
        found = await on.read()
        ends = [one for one in await items(on) if isinstance(one, ScopeEnd)]

    assert found.lost(first) == []
    assert all("not_in_channel" in one.reason for one in found.failures)
    assert [one.complete for one in ends] == [False, False, True]


async def test_a_message_of_another_shape_fails_alone() -> None:
    async with team(3) as (on, account):
        odd = account.say("Odd", edited="yesterday")
        account.say("No list", files=7)
        found = await on.read()

    assert ref_of(odd) in [one.ref for one in found.failures]
    assert len(found.failures) == 2
    assert len(found.entities) == 3
    assert found.is_whole


async def test_a_message_without_its_time_makes_its_channel_incomplete() -> None:
    async with team(3) as (on, account):
        ts = account.say("Timeless")["ts"]
        answer = account.answer

        def timeless(request: httpx.Request) -> httpx.Response:
            response = answer(request)
            content = response.content.replace(f'"{ts}"'.encode(), b"null")
            return httpx.Response(200, headers=response.headers, content=content)

        account.answer = timeless  # type: ignore[method-assign]
        found = await on.read()

    assert GENERAL not in found.whole
    assert RANDOM in found.whole


async def test_a_thread_of_another_shape_is_a_failure_of_its_message() -> None:
    async with team() as (on, account):
        root = account.say("Root")
        account.reply(root, "Reply.")["ts"] = "soon"

        with pytest.raises(EntityError, match="oddly"):
            await written(on, root)


async def test_what_is_not_there_any_more_is_gone() -> None:
    async with team(3) as (on, account):
        there, gone = account.messages[GENERAL][0], account.messages[GENERAL].pop()
        refs = [ref_of(there), ref_of(gone), Ref(MESSAGE, "C9:1.0"), Ref(MESSAGE, "x")]
        found = await fetched(on, *refs, Ref(MESSAGE, f"{GENERAL}:soon"))

    assert isinstance(found[0], Upsert)
    assert found[1:] == [
        *map(Delete, refs[1:]),
        Delete(Ref(MESSAGE, f"{GENERAL}:soon")),
    ]


async def test_only_chosen_channels_are_read() -> None:
    async with team(6) as (on, account):
        account.config = {"channels": ["#random"]}  # type: ignore[misc]
        by_name = await on.first_read()
        account.config = {"channels": [GENERAL]}  # type: ignore[misc]
        by_id = await on.first_read()
        account.config = {"include_private": False}  # type: ignore[misc]
        public = await on.first_read()

    assert {one.breadcrumbs[0].name for one in by_name.entities.values()} == {"#random"}
    assert by_id.entities.keys() == public.entities.keys()
    assert {one.breadcrumbs[0].name for one in public.entities.values()} == {"#general"}


async def test_a_cursor_that_slack_forgot_begins_its_channel_again() -> None:
    async with team(700) as (on, _):
        tokens = [one.token for one in await items(on) if isinstance(one, Checkpoint)]
        found = await on.read(cursor={**tokens[0], "page": "of yesterday"})

    assert found.error is None
    assert len(found.entities) == 700


async def test_a_token_that_is_revoked_during_a_job_ends_it() -> None:
    async with team(12) as (on, account):
        account.complaints["conversations.history"] = "token_revoked"
        found = await on.read()

    assert isinstance(found.error, CredentialsError)
    assert not found.is_whole


@pytest.mark.parametrize(
    ("method", "code", "config", "error", "said"),
    [
        ("auth.test", "invalid_auth", {}, CredentialsError, "invalid_auth"),
        ("auth.test", "account_inactive", {}, CredentialsError, "account_inactive"),
        ("users.conversations", "missing_scope", {}, CredentialsError, "scope a:read"),
        ("", "", {"channels": ["gone"]}, ConfigError, "channel called gone: invite"),
        ("auth.test", "of_tomorrow", {}, ConfigError, "of_tomorrow"),
    ],
)
async def test_a_check_says_what_is_wrong(
    method: str, code: str, config: dict[str, Any], error: type[Exception], said: str
) -> None:
    async with team() as (on, account):
        account.complaints[method] = code
        account.config = config  # type: ignore[misc]
        source = on.connect()
        with pytest.raises(error, match=said):
            await source.check()
        await source.close()


async def test_without_a_clock_nothing_counts_as_known() -> None:
    async with team(20) as (on, account):
        answer = account.answer

        def timeless(request: httpx.Request) -> httpx.Response:
            response = answer(request)
            del response.headers["date"]
            return response

        account.answer = timeless  # type: ignore[method-assign]
        first = await on.first_read()
        again = await on.read(cursor=first.checkpoint)

    assert again.entities.keys() == first.entities.keys()


def test_a_channel_needs_a_name() -> None:
    with pytest.raises(ValidationError, match="has a name"):
        SlackConfig(channels=["general", "#"])

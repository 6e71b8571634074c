"""Notion is read by search and by its databases, and loses no page on the way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from tests.vendors.notion import HOME, TASKS, Workspace, block, text

from wellhead.domain.entities import Entity
from wellhead.domain.errors import ConfigError, CredentialsError, EntityError
from wellhead.domain.items import Checkpoint, Delete, Item, Ref, Upsert
from wellhead.sources.connectors.notion.content import NOT_SHOWN
from wellhead.sources.connectors.notion.places import PAGE
from wellhead.sources.testing.faults import Trouble, instead
from wellhead.sources.testing.reading import Outcome, take_all
from wellhead.sources.testing.stage import Stage, stage


@asynccontextmanager
async def workspace(records: int = 3) -> AsyncIterator[tuple[Stage, Workspace]]:
    """Numbers 11, 12 (a row) and 13 below the page "Home"."""
    async with stage(Workspace, records=records) as on:
        assert isinstance(on.vendor, Workspace)
        yield on, on.vendor


def named(found: Outcome, name: str) -> Entity:
    return next(one for one in found.entities.values() if one.name == name)


def page_of(on: Workspace, name: str) -> dict[str, Any]:
    return next(
        one
        for one in on.things.values()
        if any(
            value.get("title") == [text(name)] for value in one["properties"].values()
        )
    )


async def written(on: Stage, name: str) -> str:
    """The text of a page, read while its source is open."""
    source = on.connect()
    try:
        async for item in source.read(None):
            if isinstance(item, Upsert) and item.entity.name == name:
                assert item.entity.blob is not None
                path = await asyncio.to_thread(item.entity.blob.open)
                return path.read_text()
    finally:
        await source.close()
    raise AssertionError(f"there is no page {name}")


async def items_of(on: Stage, cursor: dict[str, Any] | None = None) -> list[Item]:
    source = on.connect()
    try:
        return [one async for one in source.read(cursor)]
    finally:
        await source.close()


async def test_a_page_is_one_text_with_all_that_is_nested() -> None:
    async with workspace() as (on, account):
        page = page_of(account, "Number 11")["id"]
        account.write(page, block("heading_1", "Plan"))
        [toggle] = account.write(page, block("toggle", "Details"))
        [inner] = account.write(toggle["id"], block("bulleted_list_item", "Inner"))
        account.write(inner["id"], block("paragraph", "Innermost"))
        account.write(page, *(block("numbered_list_item", one) for one in "ab"))
        account.write(page, block("paragraph", "Break"))
        account.write(page, block("numbered_list_item", "c"))
        [table] = account.write(page, block("table", {"table_width": 1}))
        for cell in "xy":
            row = block("table_row", {"cells": [[text(cell)]]})
            account.write(table["id"], row)
        found = await written(on, "Number 11")

    assert found == (
        "# Number 11\n\nIt **works**.\n\n## Plan\n\n"
        "- Details\n  - Inner\n\n    Innermost\n\n1. a\n2. b\n\nBreak\n\n1. c\n\n"
        "| x |\n| --- |\n| y |\n"
    )


async def test_pages_within_are_references() -> None:
    async with workspace() as (on, account):
        page = page_of(account, "Number 11")["id"]
        [child] = account.write(page, block("child_page", {"title": "Below"}))
        account.write(child["id"], block("paragraph", "Not ours"))
        other = page_of(account, "Number 13")["id"]
        link = {"type": "page_id", "page_id": other}
        account.write(page, block("link_to_page", link))
        found = await written(on, "Number 11")

    assert found.endswith("- Page: Below\n- Page: Number 13\n")


async def test_a_row_shows_its_properties_and_the_names_of_its_relations() -> None:
    async with workspace() as (on, account):
        row, other = page_of(account, "Number 12"), page_of(account, "Number 13")
        row["properties"]["See"] = {
            "id": "b%3Ac",
            "type": "relation",
            "relation": [{"id": other["id"]}],
        }
        found = await written(on, "Number 12")
        entity = named(await on.first_read(), "Number 12")

    assert found == "# Number 12\n\nState: Open\nSee: Number 13\n\nIt **works**.\n"
    assert [one.name for one in entity.breadcrumbs] == ["Home", "Tasks"]
    assert entity.raw["properties"] == {"State": "Open"}


async def test_a_long_relation_is_read_to_its_end() -> None:
    async with workspace(130) as (on, account):
        row = page_of(account, "Number 12")
        all_of_them = [
            {"id": one} for one in account.things if one not in (TASKS, HOME)
        ]
        row["properties"]["See"] = {
            "id": "b%3Ac",
            "type": "relation",
            "relation": all_of_them[:25],
            "has_more": True,
            "whole": all_of_them,
        }
        found = await written(on, "Number 12")

    [line] = [one for one in found.splitlines() if one.startswith("See: ")]
    assert len(line.split(", ")) == len(all_of_them) > 100


async def test_a_database_says_what_its_columns_are() -> None:
    async with workspace() as (on, _):
        found = named(await on.first_read(), "Tasks")

    assert found.type == "NotionDatabaseEntity"
    assert found.text == (
        "# Tasks\n\nWhat is to be done.\n\n"
        "Columns:\n- Name (title)\n- State (status): Open, Done"
    )
    assert [one.name for one in found.breadcrumbs] == ["Home"]


async def test_very_deep_nesting_is_read() -> None:
    async with workspace() as (on, account):
        here = page_of(account, "Number 11")["id"]
        for depth in range(300):
            [made] = account.write(here, block("toggle", f"Level {depth}"))
            here = made["id"]
        found = await written(on, "Number 11")

    assert "- Level 299\n" in found


async def test_a_block_that_holds_itself_is_read_once() -> None:
    async with workspace() as (on, account):
        page = page_of(account, "Number 11")["id"]
        [synced] = account.write(page, block("synced_block", {"synced_from": None}))
        account.write(synced["id"], block("paragraph", "Once"), synced)
        found = await written(on, "Number 11")

    assert found.count("Once") == 1


async def test_an_empty_page_is_its_title() -> None:
    async with workspace() as (on, account):
        account.page("Bare")
        found = await written(on, "Bare")

    assert found == "# Bare\n"


async def test_a_long_page_is_read_to_its_end() -> None:
    async with workspace() as (on, account):
        page = page_of(account, "Number 11")["id"]
        account.write(page, *(block("paragraph", f"Line {n}") for n in range(250)))
        found = await written(on, "Number 11")

    assert found.endswith("Line 249\n")


async def test_a_part_that_is_not_shown_costs_only_itself() -> None:
    async with workspace() as (on, account):
        page = page_of(account, "Number 11")["id"]
        [synced] = account.write(page, block("synced_block", {"synced_from": {}}))
        account.write(synced["id"], block("paragraph", "Hidden"))
        account.write(page, block("paragraph", "After"))
        account.hidden.add(synced["id"])
        found = await written(on, "Number 11")

    assert found.endswith(f"{NOT_SHOWN}\n\nAfter\n")


async def test_a_block_of_another_shape_is_a_failure_of_its_page() -> None:
    async with workspace() as (on, account):
        page = page_of(account, "Number 11")["id"]
        account.write(page, block("paragraph", {"rich_text": "no list of pieces"}))

        with pytest.raises(EntityError, match="oddly"):
            await written(on, "Number 11")
        assert "works" in await written(on, "Number 13")


async def test_a_page_of_another_shape_fails_alone() -> None:
    async with workspace() as (on, account):
        page = page_of(account, "Number 11")
        page["last_edited_time"] = {"at": "2026-01-01"}
        found = await on.read()

    assert {one.ref for one in found.failures} == {Ref(PAGE, page["id"])}
    assert found.is_whole
    assert named(found, "Number 13").source_version


async def test_breadcrumbs_lead_through_blocks_and_end_where_nothing_is_shown() -> None:
    async with workspace() as (on, account):
        top = page_of(account, "Number 11")
        [toggle] = account.write(top["id"], block("toggle", "Fold"))
        inside = {"type": "block_id", "block_id": toggle["id"]}
        account.page("In a fold", parent=inside)
        lost = {"type": "page_id", "page_id": "00000000-0000-4000-8000-00000000dead"}
        account.page("Of a stranger", parent=lost)
        found = await on.first_read()

    steps = [one.name for one in named(found, "In a fold").breadcrumbs]
    assert steps == ["Home", "Number 11"]
    assert named(found, "Of a stranger").breadcrumbs == ()


async def test_pages_in_each_other_end_somewhere() -> None:
    async with workspace() as (on, account):
        page = page_of(account, "Number 11")
        account.things[HOME]["parent"] = {"type": "page_id", "page_id": page["id"]}
        found = await on.first_read()

    assert [one.name for one in named(found, "Number 11").breadcrumbs] == ["Home"]


async def test_a_parent_is_asked_for_once() -> None:
    async with workspace(90) as (on, account):
        account.requests.clear()
        await on.first_read()

        asked = [one.url.path for one in account.requests]
        assert asked.count(f"/v1/pages/{HOME}") <= 1
        assert len(asked) < 10


async def test_a_page_that_is_edited_while_it_is_listed_is_not_lost() -> None:
    async with workspace(400) as (on, account):
        source, names = on.connect(), set()
        async for item in source.read(None):
            if isinstance(item, Upsert) and item.entity.type == PAGE:
                names.add(item.entity.name)
            token = item.token if isinstance(item, Checkpoint) else {}
            if token.get("part") == "pages" and token["page"]:
                for ident in list(account.things)[:200]:
                    account.edit(account.things[ident])
                account.wait(timedelta(minutes=1))
        await source.close()

    assert {f"Number {number}" for number in range(11, 411)} <= names


async def test_what_was_read_once_is_not_listed_again() -> None:
    async with workspace() as (on, account):
        first = await on.first_read()
        account.change()
        second = await on.read(cursor=first.checkpoint)
        third = await on.read(cursor=second.checkpoint)

    assert [one.name for one in second.entities.values()] == ["Number 11"]
    assert third.entities == {}


async def test_a_change_within_a_minute_that_is_not_over_has_no_version() -> None:
    async with workspace() as (on, account):
        page = page_of(account, "Number 11")
        account.edit(page)
        account.wait(timedelta(seconds=59))
        early = named(await on.first_read(), "Number 11")
        account.wait(timedelta(seconds=1))
        late = named(await on.first_read(), "Number 11")

    assert early.source_version is None
    assert late.source_version == page["last_edited_time"]


async def test_a_change_that_came_late_into_the_search_is_read() -> None:
    async with workspace() as (on, account):
        first = await on.first_read()
        account.edit(page_of(account, "Number 13"))
        account.wait(timedelta(minutes=20))
        unaware = await on.read(cursor={**(first.checkpoint or {})})
        page = page_of(account, "Number 11")
        page["last_edited_time"] = page_of(account, "Number 13")["last_edited_time"]
        found = await on.read(cursor=unaware.checkpoint)

    assert "Number 11" in {one.name for one in found.entities.values()}


async def test_what_is_in_the_trash_is_gone() -> None:
    async with workspace() as (on, account):
        first = await on.first_read()
        page = page_of(account, "Number 11")
        page["in_trash"] = True
        source = on.connect()
        fetching = source.fetch([Ref(PAGE, page["id"]), Ref(PAGE, "no id")])
        assert fetching is not None
        fetched = await take_all(fetching)
        full = await on.read()
        await source.close()

    assert len(fetched.deleted) == 2
    assert full.lost(first) == [Ref(PAGE, page["id"]).key]


async def test_a_page_that_is_listed_in_the_trash_is_a_delete() -> None:
    async with workspace() as (on, account):
        answer = account.answer
        page = page_of(account, "Number 11")

        def behind(request: httpx.Request) -> httpx.Response:
            response = answer(request)
            old = b'"in_trash":false'
            content = response.content.replace(old, b'"in_trash":true')
            return httpx.Response(200, headers=response.headers, content=content)

        account.answer = behind  # type: ignore[method-assign]
        items = await items_of(on)

    assert Delete(Ref(PAGE, page["id"])) in items


async def test_a_database_larger_than_a_query_is_read_by_dates() -> None:
    async with workspace(0) as (on, account):
        for _ in range(30):
            account.add(20)
        account.most_results = 150
        found = await on.read()

    rows = [one for one in found.entities.values() if len(one.breadcrumbs) == 2]
    assert len(rows) == 200
    assert not any("database" in one.reason for one in found.failures)


async def test_rows_of_one_minute_that_are_more_than_a_query_shows_are_missed() -> None:
    async with workspace(900) as (on, account):
        first = await on.first_read()
        account.most_results = 150
        found = await on.read()

    said = [one.reason for one in found.failures]
    assert f"database {TASKS} is not shown to its end" in said
    assert found.lost(first) == []


async def test_a_search_that_is_cut_is_read_from_its_other_end() -> None:
    async with workspace(0) as (on, account):
        for _ in range(10):
            account.add(20)
        account.most_results = 120
        found = await on.read()
        account.most_results = 50
        cut = await on.read()

    assert len(found.entities) == 202
    assert found.is_whole
    assert not cut.is_whole
    assert "search ended" in cut.failures[0].reason


async def test_a_cursor_that_is_too_old_begins_again() -> None:
    async with workspace(400) as (on, _):
        items = await items_of(on)
        tokens = [one.token for one in items if isinstance(one, Checkpoint)]
        old = [{**one, "page": "of yesterday"} for one in tokens if one["page"]]
        found = [await on.read(cursor=one) for one in old if one["part"] == "pages"]

    assert found
    assert all(one.error is None and one.is_whole for one in found)


async def test_without_a_clock_nothing_counts_as_known() -> None:
    async with workspace() as (on, account):
        answer = account.answer

        def timeless(request: httpx.Request) -> httpx.Response:
            response = answer(request)
            del response.headers["date"]
            return response

        account.answer = timeless  # type: ignore[method-assign]
        first = await on.first_read()
        again = await on.read(cursor=first.checkpoint)

    assert again.entities.keys() == first.entities.keys()
    assert {one.source_version for one in first.entities.values()} == {None}


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (401, CredentialsError, "invalid"),
        (403, CredentialsError, "capability to read content"),
        (400, ConfigError, "invalid"),
    ],
)
async def test_a_check_says_what_is_wrong(
    status: int, error: type[Exception], said: str
) -> None:
    async with workspace() as (on, _):
        body = {"object": "error", "message": "That is invalid."}
        on.trouble = Trouble(instead(httpx.Response(status, json=body)), times=None)
        source = on.connect()
        with pytest.raises(error, match=said):
            await source.check()
        await source.close()


async def test_a_database_that_is_not_shown_makes_the_listing_incomplete() -> None:
    async with workspace() as (on, account):
        first = await on.first_read()
        answer = account.answer

        def closed(request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/query"):
                return httpx.Response(403, json={"message": "restricted_resource"})
            return answer(request)

        account.answer = closed  # type: ignore[method-assign]
        found = await on.read()

    assert any(one.ref is None for one in found.failures)
    assert found.lost(first) == []

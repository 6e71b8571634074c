"""A workspace on Notion in memory: pages, a database with rows, and blocks."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import chain
from typing import Any, ClassVar
from uuid import UUID

import httpx

from wellhead.domain.items import Ref
from wellhead.sources.connectors.notion import NotionSource
from wellhead.sources.connectors.notion.places import PAGE
from wellhead.sources.testing import Vendor

TOKEN = "ntn_0123456789abcdefSECRET"  # noqa: S105  # of nobody
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
HOME = "00000000-0000-4000-8000-000000000001"
TASKS = "00000000-0000-4000-8000-000000000002"
FRAME = "00000000-0000-4000-8000-000000000003"
Thing = dict[str, Any]


def text(content: str, href: str | None = None) -> Thing:
    return {
        "type": "text",
        "text": {"content": content, "link": {"url": href} if href else None},
        "plain_text": content,
        "href": href,
    }


class Workspace(Vendor):
    """A page "Home" with a database "Tasks"; every third record is a row of it.

    Whatever happens takes no time, and an hour goes by between two happenings.
    """

    source = NotionSource
    credentials: ClassVar = {"access_token": TOKEN}

    def __init__(self) -> None:
        self.things: dict[str, Thing] = {}
        self.blocks: dict[str, list[Thing]] = {}
        self.hidden: set[str] = set()
        """They exist, and are not shared with the integration."""
        self.now = BEGINNING
        self.count = 10
        self.count_blocks = 0
        self.most_results = 10**9
        self.requests: list[httpx.Request] = []

    # --- what the suite does to it ---

    def add(self, count: int) -> Sequence[Ref]:
        if HOME not in self.things:
            self._found()
        made = []
        for _ in range(count):
            number = self.count + 1
            page = self.page(f"Number {number}", row=number % 3 == 0)
            self.write(page["id"], block("paragraph", "It **works**."))
            made.append(Ref(PAGE, page["id"]))
        self.wait()
        return made

    def change(self) -> Ref:
        page = self.things[self._ident(11)]
        self.write(page["id"], block("paragraph", f"News of {self.now}."))
        self.edit(page)
        self.wait()
        return Ref(PAGE, page["id"])

    def remove(self) -> Ref:
        page = self.things[self._ident((11 + self.count) // 2)]
        page["in_trash"] = page["archived"] = True
        self.wait()
        return Ref(PAGE, page["id"])

    def is_about_one(self, request: httpx.Request) -> bool:
        return "/pages/" in request.url.path

    def busy(self) -> Sequence[httpx.Response]:
        slower = {"object": "error", "code": "rate_limited", "message": "Slow down"}
        full = {"object": "error", "code": "service_overload", "message": "Later"}
        headers = {"retry-after": "7"}
        return [
            httpx.Response(429, headers=headers, json=slower),
            httpx.Response(529, headers=headers, json=full),
        ]

    # --- what people do ---

    def page(
        self, title: str, *, row: bool = False, parent: Thing | None = None
    ) -> Thing:
        self.count += 1
        parent = parent or {"type": "page_id", "page_id": HOME}
        properties: Thing = {"title": {"id": "title", "type": "title"}}
        if row:
            frame = {"data_source_id": TASKS, "database_id": FRAME}
            parent = {"type": "data_source_id", **frame}
            state = {"id": "a%3Ab", "type": "status", "status": {"name": "Open"}}
            properties = {"Name": properties["title"], "State": state}
        next(iter(properties.values()))["title"] = [text(title)]
        return self._keep(
            "page", self._ident(self.count), parent, properties=properties
        )

    def write(self, into: str, *blocks: Thing) -> list[Thing]:
        """Append blocks to a page or a block."""
        here = self.blocks.setdefault(into, [])
        for one in blocks:
            self.count_blocks += 1
            one.setdefault("id", str(UUID(int=2**64 + self.count_blocks)))
            here.append(one)
        if into not in self.things:  # a block
            for one in chain.from_iterable(self.blocks.values()):
                if one["id"] == into:
                    one["has_children"] = True
        return list(blocks)

    def edit(self, thing: Thing) -> None:
        thing["last_edited_time"] = self._minute()

    def wait(self, span: timedelta = timedelta(hours=1)) -> None:
        self.now += span

    def _found(self) -> None:
        top = {"type": "workspace", "workspace": True}
        properties = {
            "title": {"id": "title", "type": "title", "title": [text("Home")]}
        }
        self._keep("page", HOME, top, properties=properties)
        columns = {
            "Name": {"id": "title", "type": "title", "title": {}},
            "State": {
                "id": "a%3Ab",
                "type": "status",
                "status": {"options": [{"name": "Open"}, {"name": "Done"}]},
            },
        }
        self._keep(
            "data_source",
            TASKS,
            {"type": "database_id", "database_id": FRAME},
            database_parent={"type": "page_id", "page_id": HOME},
            title=[text("Tasks")],
            description=[text("What is to be done.")],
            properties=columns,
        )

    def _keep(self, kind: str, ident: str, parent: Thing, **more: Any) -> Thing:
        thing = {
            "object": kind,
            "id": ident,
            "created_time": self._minute(),
            "last_edited_time": self._minute(),
            "parent": parent,
            "archived": False,
            "in_trash": False,
            "url": f"https://www.notion.so/{ident.replace('-', '')}",
            "icon": None,
            **more,
        }
        self.things[ident] = thing
        return thing

    # --- what Notion answers ---

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _refused(401, "unauthorized", "API token is invalid.")
        if not request.headers.get("notion-version"):
            return _refused(400, "missing_version", "Notion-Version is missing.")
        parts = request.url.path.removeprefix("/v1/").split("/")
        is_hidden = not self.hidden.isdisjoint(parts)
        response = _missing() if is_hidden else self._answer(request, parts)
        response.headers["date"] = format_datetime(self.now, usegmt=True)
        return response

    def _answer(self, request: httpx.Request, parts: list[str]) -> httpx.Response:
        match parts:
            case ["search"]:
                return self._searched(json.loads(request.content))
            case ["data_sources", ident, "query"] if ident in self.things:
                return self._queried(ident, json.loads(request.content))
            case ["pages" | "data_sources", ident] if ident in self.things:
                return httpx.Response(200, json=self.things[ident])
            case ["pages", ident, "properties", name] if ident in self.things:
                return self._property(request, ident, name)
            case ["blocks", ident, "children"]:
                query = dict(request.url.params)
                return self._page(self.blocks.get(ident, []), query, lambda one: one)
            case ["blocks", ident]:
                return self._block(ident)
            case _:
                return _missing()

    def _block(self, ident: str) -> httpx.Response:
        for holder, blocks in self.blocks.items():
            for one in blocks:
                if one["id"] == ident:
                    parent = {"type": "page_id", "page_id": holder}
                    return httpx.Response(200, json={**one, "parent": parent})
        return _missing()

    def _searched(self, body: Thing) -> httpx.Response:
        kind = (body.get("filter") or {}).get("value")
        found = sorted(
            (
                one
                for one in self.things.values()
                if kind in (None, one["object"])
                and not one["in_trash"]
                and one["id"] not in self.hidden
            ),
            key=lambda one: (str(one["last_edited_time"]), one["id"]),
            reverse=body["sort"]["direction"] == "descending",
        )
        return self._page(found, body, lambda one: one)

    def _queried(self, source: str, body: Thing) -> httpx.Response:
        since = (body.get("filter") or {}).get("created_time", {}).get("on_or_after")
        found = sorted(
            (
                one
                for one in self.things.values()
                if one["parent"].get("data_source_id") == source
                and not one["in_trash"]
                and one["created_time"] >= (since or "")
            ),
            key=lambda one: (one["created_time"], one["id"]),
        )
        return self._page(found, body, lambda one: one)

    def _property(
        self, request: httpx.Request, ident: str, name: str
    ) -> httpx.Response:
        found = [
            one
            for one in self.things[ident]["properties"].values()
            if one["id"] in (name, name.replace(":", "%3A"))
        ]
        if not found:
            return _missing()
        whole = found[0].get("whole", found[0].get("relation"))
        query = dict(request.url.params)
        return self._page(
            whole, query, lambda one: {"object": "property_item", "relation": one}
        )

    def _page(
        self, found: list[Any], asked: Thing, show: Callable[[Any], Any]
    ) -> httpx.Response:
        size = min(int(asked.get("page_size", 100)), 100)
        cursor = asked.get("start_cursor")
        begin = 0
        if cursor is not None:
            try:
                begin = UUID(cursor).int
            except ValueError:
                return _refused(400, "validation_error", "start_cursor is invalid.")
        most = min(len(found), self.most_results)
        end = min(begin + size, most)
        body = {
            "object": "list",
            "results": [show(one) for one in found[begin:end]],
            "has_more": end < most,
            "next_cursor": str(UUID(int=end)) if end < most else None,
        }
        if most < len(found) and cursor is None:
            # any page may say it, so the stand-in says it where it is missed most
            reason = "query_result_limit_reached"
            body["request_status"] = {"type": "incomplete", "incomplete_reason": reason}
        return httpx.Response(200, json=body)

    def _ident(self, number: int) -> str:
        return str(UUID(int=(1 << 127) + number))

    def _minute(self) -> str:
        return self.now.strftime("%Y-%m-%dT%H:%M:00.000Z")


def block(kind: str, content: str | Thing = "", **more: Any) -> Thing:
    """A block with a text, or with what its kind has."""
    inner = {"rich_text": [text(content)]} if isinstance(content, str) else content
    return {
        "object": "block",
        "type": kind,
        kind: {**inner, **more},
        "has_children": False,
    }


def _missing() -> httpx.Response:
    return _refused(404, "object_not_found", "Could not find it.")


def _refused(status: int, code: str, message: str) -> httpx.Response:
    body = {"object": "error", "status": status, "code": code, "message": message}
    return httpx.Response(status, json=body)

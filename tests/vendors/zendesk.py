"""A Zendesk account in memory: exports that leave out the last minute, and comments."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar

import httpx
from tests.vendors.books import SOURCES, Books, Record, iso, not_found

from wellhead.domain.items import Ref

EMAIL = "ada@example.com"
TOKEN = "zd0123456789SECRETabcdef"  # noqa: S105  # of nobody
HOME = "https://acme.zendesk.com/api/v2"
Done = TypeVar("Done")
SINGULAR = {"tickets": "ticket", "users": "user", "organizations": "organization"}


class Zendesk(Books):
    source = SOURCES["zendesk"]
    config: ClassVar = {"subdomain": "acme"}
    credentials: ClassVar = {"email": EMAIL, "api_token": TOKEN}
    kinds: ClassVar = {
        "tickets": "ZendeskTicketEntity",
        "users": "ZendeskUserEntity",
        "organizations": "ZendeskOrganizationEntity",
    }

    def is_authorised(self, request: httpx.Request) -> bool:
        pair = base64.b64encode(f"{EMAIL}/token:{TOKEN}".encode()).decode()
        return bool(request.headers.get("authorization") == f"Basic {pair}")

    def is_about_one(self, request: httpx.Request) -> bool:
        return request.url.path.split("/")[-1].removesuffix(".json").isdecimal()

    def route(self, request: httpx.Request) -> httpx.Response:
        where = request.url.path.removeprefix("/api/v2/").removesuffix(".json")
        match where.split("/"):
            case ["users", "me"]:
                return httpx.Response(200, json={"user": {"id": 1}})
            case ["incremental", kind, "cursor"] if kind in ("tickets", "users"):
                return self._export(kind, request.url.params)
            case ["organizations"]:
                return self._organizations(request.url.params)
            case ["tickets", ident, "comments"] if ident in self.records["tickets"]:
                return _comments(self.records["tickets"][ident])
            case [kind, ident] if ident in self.records.get(kind, {}):
                return self._one(self.records[kind][ident])
            case _:
                return not_found()

    def add(self, count: int) -> Sequence[Ref]:
        return self._a_while_after(super().add(count))

    def change(self) -> Ref:
        return self._a_while_after(super().change())

    def remove(self) -> Ref:
        return self._a_while_after(super().remove())

    def _a_while_after(self, what: Done) -> Done:
        """Let so much time pass that exports speak of it."""
        self.now += timedelta(minutes=2)
        return what

    def _export(self, kind: str, query: httpx.QueryParams) -> httpx.Response:
        # of the thousand asked for, so that few records are several pages
        size = min(int(query.get("per_page", 1000)), 100)
        if "cursor" in query:
            stamp, _, ident = query["cursor"].partition("-")
            after = (datetime.fromtimestamp(int(stamp), UTC), ident)
        else:
            start = datetime.fromtimestamp(int(query["start_time"]), UTC)
            after = (start, "")
        found = sorted(
            (
                one
                for one in self.records[kind].values()
                if (one.changed, one.id) > after and one.changed < self.now
            ),
            key=lambda one: (one.changed, one.id),
        )
        page = found[:size]
        last = (page[-1].changed, page[-1].id) if page else after
        cursor = f"{int(last[0].timestamp())}-{last[1]}"
        body = {
            kind: [shown(one) for one in page],
            "after_cursor": cursor,
            "after_url": f"{HOME}/incremental/{kind}/cursor.json?cursor={cursor}",
            "end_of_stream": len(found) <= size,
        }
        return httpx.Response(200, json=body)

    def _organizations(self, query: httpx.QueryParams) -> httpx.Response:
        begin, size = int(query.get("page[after]", 0)), int(query["page[size]"])
        found = self.living("organizations")
        has_more = begin + size < len(found)
        link = f"{HOME}/organizations.json?page[size]={size}&page[after]={begin + size}"
        body = {
            "organizations": [shown(one) for one in found[begin : begin + size]],
            "meta": {"has_more": has_more},
            "links": {"next": link if has_more else None},
        }
        return httpx.Response(200, json=body)

    def _one(self, record: Record) -> httpx.Response:
        if record.gone is not None and record.kind != "users":
            return not_found()
        return httpx.Response(200, json={SINGULAR[record.kind]: shown(record)})


def _comments(record: Record) -> httpx.Response:
    comment = {"body": record.words, "created_at": iso(record.created), "public": True}
    body = {"comments": [comment], "meta": {"has_more": False}, "links": {"next": None}}
    return httpx.Response(200, json=body)


def shown(record: Record) -> dict[str, Any]:
    is_gone = record.gone is not None
    special: dict[str, dict[str, Any]] = {
        "tickets": {
            "subject": f"Ticket {record.id}",
            "status": "deleted" if is_gone else "open",
            "priority": "high",
            "tags": ["printer"],
        },
        "users": {
            "name": f"Ada {record.id}",
            "email": f"{record.id}@example.com",
            "role": "end-user",
            "active": not is_gone,
        },
        "organizations": {"name": f"Org {record.id}", "domain_names": ["example.com"]},
    }
    return {
        "id": int(record.id),
        "created_at": iso(record.created),
        "updated_at": iso(record.changed),
        **special[record.kind],
    }

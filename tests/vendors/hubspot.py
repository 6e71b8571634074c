"""A HubSpot account in memory: lists, the search for changes, and the archive."""

import json
from datetime import datetime
from typing import Any, ClassVar

import httpx
from tests.vendors.books import SOURCES, Books, Record, iso, not_found

TOKEN = "pat-eu1-0123456789-SECRET"  # noqa: S105  # of nobody
MOST_FOUND = 10_000
MODIFIED = {"contacts": "lastmodifieddate"}


class HubSpot(Books):
    source = SOURCES["hubspot"]
    credentials: ClassVar = {"access_token": TOKEN}
    kinds: ClassVar = {
        "contacts": "HubspotContactEntity",
        "companies": "HubspotCompanyEntity",
        "deals": "HubspotDealEntity",
        "tickets": "HubspotTicketEntity",
    }

    def is_authorised(self, request: httpx.Request) -> bool:
        return bool(request.headers.get("authorization") == f"Bearer {TOKEN}")

    def route(self, request: httpx.Request) -> httpx.Response:
        parts = request.url.path.removeprefix("/crm/v3/objects/").split("/")
        match (request.method, *parts):
            case ("GET", kind) if kind in self.kinds:
                return self._listed(kind, request.url.params)
            case ("POST", kind, "search") if kind in self.kinds:
                return self._found(kind, json.loads(request.content))
            case _:
                return not_found()

    def _listed(self, kind: str, query: httpx.QueryParams) -> httpx.Response:
        is_archive = query.get("archived") == "true"
        after, size = int(query.get("after", 0)), int(query["limit"])
        names = query.get("properties", "").split(",")
        found = [
            one
            for one in self.records[kind].values()
            if (one.gone is not None) == is_archive and int(one.id) > after
        ]
        page = [shown(one, names) for one in found[:size]]
        return _answer(page, page[-1]["id"] if size < len(found) else None)

    def _found(self, kind: str, body: dict[str, Any]) -> httpx.Response:
        modified = MODIFIED.get(kind, "hs_lastmodifieddate")
        [group] = body["filterGroups"]
        [filter_] = group["filters"]
        if filter_["propertyName"] != modified or filter_["operator"] != "GTE":
            return httpx.Response(400, json={"message": "There was a problem"})
        since, begin = int(filter_["value"]), int(body.get("after", 0))
        if begin >= MOST_FOUND:
            return httpx.Response(400, json={"message": "paging too deep"})
        found = sorted(
            (one for one in self.living(kind) if _milliseconds(one.changed) >= since),
            key=lambda one: one.changed,
        )
        end = begin + body["limit"]
        page = [shown(one, body["properties"]) for one in found[begin:end]]
        return _answer(page, str(end) if end < len(found) else None)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _answer(page: list[dict[str, Any]], after: str | None) -> httpx.Response:
    body: dict[str, Any] = {"results": page}
    if after is not None:
        body["paging"] = {"next": {"after": after, "link": "https://elsewhere"}}
    return httpx.Response(200, json=body)


def shown(record: Record, names: list[str]) -> dict[str, Any]:
    known = {
        "firstname": "Ada",
        "lastname": record.id,
        "email": f"{record.id}@example.com",
        "jobtitle": record.words,
        "name": f"Company {record.id}",
        "dealname": f"Deal {record.id}",
        "amount": "4999",
        "closedate": iso(record.created),
        "subject": f"Ticket {record.id}",
        "content": record.words,
        "description": record.words,
    }
    found: dict[str, Any] = {
        "id": record.id,
        "properties": {name: known.get(name) for name in names if name},
        "createdAt": iso(record.created),
        "updatedAt": iso(record.changed),
        "archived": record.gone is not None,
    }
    if record.gone is not None:
        found["archivedAt"] = iso(record.gone)
    return found

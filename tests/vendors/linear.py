"""A Linear workspace in memory: connections of GraphQL, and what is in the trash."""

import json
import re
from collections.abc import Sequence
from typing import Any, ClassVar

import httpx
from tests.vendors.books import SOURCES, Books, Record, iso, not_found

KEY = "lin_api_0123456789SECRETabcdef"
ROOT = re.compile(r"\b(\w+)\(first: (\d+)")


class Linear(Books):
    source = SOURCES["linear"]
    credentials: ClassVar = {"access_token": KEY}
    kinds: ClassVar = {
        "issues": "LinearIssueEntity",
        "comments": "LinearCommentEntity",
        "projects": "LinearProjectEntity",
        "teams": "LinearTeamEntity",
        "users": "LinearUserEntity",
    }

    def id_of(self, kind: str) -> str:
        return f"{kind}-{self.number:05}"

    def busy(self) -> Sequence[httpx.Response]:
        used_up = {"errors": [{"extensions": {"code": "RATELIMITED"}}]}
        return [*super().busy(), httpx.Response(400, json=used_up)]

    def is_authorised(self, request: httpx.Request) -> bool:
        return bool(request.headers.get("authorization") == KEY)

    def route(self, request: httpx.Request) -> httpx.Response:
        if (request.method, request.url.path) != ("POST", "/graphql"):
            return not_found()
        asked = json.loads(request.content)
        if "viewer" in asked["query"]:
            return httpx.Response(200, json={"data": {"viewer": {"id": "me"}}})
        found = ROOT.search(asked["query"])
        if found is None or found.group(1) not in self.kinds:
            return _refused("Cannot query this field")
        variables = asked.get("variables") or {}
        if ("$since" in asked["query"]) != ("since" in variables):
            return _refused("Variable $since was not given, or is not declared")
        return self._page(found.group(1), int(found.group(2)), variables)

    def _page(self, kind: str, size: int, variables: dict[str, Any]) -> httpx.Response:
        since, after = variables.get("since") or "", variables.get("after") or ""
        found = [
            one
            for one in self.records[kind].values()
            if iso(one.changed) >= since and one.id > after
        ]
        if kind == "comments":  # they have no trash
            found = [one for one in found if one.gone is None]
        page = found[:size]
        connection = {
            "nodes": [shown(one) for one in page],
            "pageInfo": {
                "hasNextPage": size < len(found),
                "endCursor": page[-1].id if page else None,
            },
        }
        return httpx.Response(200, json={"data": {kind: connection}})


def _refused(message: str) -> httpx.Response:
    return httpx.Response(200, json={"errors": [{"message": message}]})


def shown(record: Record) -> dict[str, Any]:
    common = {
        "id": record.id,
        "createdAt": iso(record.created),
        "updatedAt": iso(record.changed),
        "url": f"https://linear.app/acme/{record.id}",
        "description": record.words,
    }
    special: dict[str, dict[str, Any]] = {
        "issues": {
            "identifier": f"ACM-{record.id[-5:]}",
            "title": f"Issue {record.id}",
            "trashed": True if record.gone else None,
            "state": {"name": "Todo"},
            "labels": {"nodes": [{"name": "bug"}]},
        },
        "comments": {
            "body": record.words,
            "user": {"name": "Ada"},
            "issue": {"identifier": "ACM-1", "title": "It breaks"},
        },
        "projects": {"name": f"Project {record.id}", "state": "started"},
        "teams": {"name": f"Team {record.id}", "key": "ACM"},
        "users": {"name": f"Ada {record.id}", "displayName": "ada", "email": "a@b.c"},
    }
    return {**common, **special[record.kind]}

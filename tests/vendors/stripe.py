"""A Stripe account in memory: lists newest first, and events of all that happened."""

from typing import Any, ClassVar

import httpx
from tests.vendors.books import SOURCES, Books, Record, not_found

KEY = "rk_test_0123456789abcdefSECRET"
PREFIXES = {
    "customers": "cus",
    "subscriptions": "sub",
    "invoices": "in",
    "charges": "ch",
}
EVENTS = {
    "customers": "customer",
    "subscriptions": "customer.subscription",
    "invoices": "invoice",
    "charges": "charge",
}


class Stripe(Books):
    source = SOURCES["stripe"]
    credentials: ClassVar = {"api_key": KEY}
    kinds: ClassVar = {
        "customers": "StripeCustomerEntity",
        "subscriptions": "StripeSubscriptionEntity",
        "invoices": "StripeInvoiceEntity",
        "charges": "StripeChargeEntity",
    }

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    def id_of(self, kind: str) -> str:
        return f"{PREFIXES[kind]}_{self.number:05}"

    def happened(self, record: Record, what: str) -> None:
        self.events.append(
            {
                "id": f"evt_{len(self.events):05}",
                "object": "event",
                "type": f"{EVENTS[record.kind]}.{what}",
                "created": int(self.now.timestamp()),
                "data": {"object": shown(record)},
            }
        )

    def is_authorised(self, request: httpx.Request) -> bool:
        return bool(request.headers.get("authorization") == f"Bearer {KEY}")

    def is_about_one(self, request: httpx.Request) -> bool:
        return request.url.path.count("/") == 3

    def route(self, request: httpx.Request) -> httpx.Response:
        parts = request.url.path.removeprefix("/v1/").split("/")
        query = request.url.params
        match parts:
            case ["events"]:
                return self._page(self._events(query), query)
            case [kind] if kind in self.kinds:
                found = [shown(one) for one in self.living(kind)]
                return self._page(found, query)
            case [kind, ident] if ident in self.records.get(kind, {}):
                record = self.records[kind][ident]
                if record.gone is None:
                    return httpx.Response(200, json=shown(record))
                gone = {"id": ident, "object": "customer", "deleted": True}
                return httpx.Response(200, json=gone)
            case _:
                return not_found()

    def _events(self, query: httpx.QueryParams) -> list[dict[str, Any]]:
        kind, since = query.get("type", "*"), int(query.get("created[gte]", 0))
        return [
            one
            for one in self.events
            if one["type"].startswith(kind.removesuffix("*"))
            and one["created"] >= since
        ]

    def _page(
        self, found: list[dict[str, Any]], query: httpx.QueryParams
    ) -> httpx.Response:
        end = len(found)
        after = query.get("starting_after")
        if after is not None:
            ids = [one["id"] for one in found]
            if after not in ids:
                wrong = {"error": {"message": f"No such object: '{after}'"}}
                return httpx.Response(400, json=wrong)
            end = ids.index(after)
        begin = max(0, end - int(query.get("limit", 10)))
        body = {
            "object": "list",
            "data": found[begin:end][::-1],
            "has_more": begin > 0,
        }
        return httpx.Response(200, json=body)


def shown(record: Record) -> dict[str, Any]:
    common = {
        "id": record.id,
        "object": EVENTS[record.kind].rpartition(".")[2],
        "created": int(record.created.timestamp()),
        "description": record.words,
        "livemode": False,
    }
    special: dict[str, dict[str, Any]] = {
        "customers": {
            "name": f"Ada {record.id}",
            "email": f"{record.id}@example.com",
            "phone": None,
            "address": None,
        },
        "subscriptions": {
            "status": "active",
            "customer": "cus_00001",
            "items": {"object": "list", "data": [{"price": {"nickname": "Pro"}}]},
        },
        "invoices": {
            "number": f"A-{record.id}",
            "status": "open",
            "total": 4999,
            "amount_remaining": 4999,
            "currency": "usd",
            "lines": {"object": "list", "data": [{"description": "Pro, a month"}]},
        },
        "charges": {
            "amount": 1000,
            "currency": "jpy",
            "status": "succeeded",
            "billing_details": {"name": "Ada", "email": None},
        },
    }
    return {**common, **special[record.kind]}

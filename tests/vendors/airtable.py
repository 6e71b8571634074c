"""An Airtable account in memory: two bases, each with tables, and records in them."""

from collections.abc import Sequence
from typing import Any, ClassVar

import httpx
from tests.vendors.books import SOURCES, Books, Record, iso, not_found

from wellhead.domain.items import Ref

TOKEN = "patSECRET0123456789.abcdef"  # noqa: S105  # of nobody
TABLES = {"appMain": ("tblTasks", "tblPeople"), "appOther": ("tblNotes",)}
PLACES = [(base, table) for base, tables in TABLES.items() for table in tables]


class Airtable(Books):
    """Nearly all records are in one table; `kind` is the place of a record.

    A new account has its bases, too, so nothing is ever quite empty.
    """

    source = SOURCES["airtable"]
    credentials: ClassVar = {"access_token": TOKEN}
    kinds: ClassVar = {f"{base}/{table}": "" for base, table in PLACES}

    def id_of(self, kind: str) -> str:
        return f"rec{self.number:05}"

    def ref(self, record: Record) -> Ref:
        return Ref("AirtableRecordEntity", f"{record.kind}/{record.id}")

    def busy(self) -> Sequence[httpx.Response]:
        return [httpx.Response(429, headers={"retry-after": "7"})]

    def is_authorised(self, request: httpx.Request) -> bool:
        return bool(request.headers.get("authorization") == f"Bearer {TOKEN}")

    def route(self, request: httpx.Request) -> httpx.Response:
        match request.url.path.removeprefix("/v0/").split("/"):
            case ["meta", "whoami"]:
                return httpx.Response(200, json={"id": "usr1"})
            case ["meta", "bases"]:
                bases = [{"id": base, "name": base[3:]} for base in TABLES]
                return httpx.Response(200, json={"bases": bases})
            case ["meta", "bases", base, "tables"] if base in TABLES:
                tables = [_table(table) for table in TABLES[base]]
                return httpx.Response(200, json={"tables": tables})
            case [base, table] if (base, table) in PLACES:
                return self._page(f"{base}/{table}", request.url.params)
            case _:
                return not_found()

    def _page(self, kind: str, query: httpx.QueryParams) -> httpx.Response:
        size, begin = int(query["pageSize"]), int(query.get("offset", "itr0")[3:])
        found = self.living(kind)
        page: dict[str, Any] = {
            "records": [shown(one) for one in found[begin : begin + size]]
        }
        if begin + size < len(found):
            page["offset"] = f"itr{begin + size}"
        return httpx.Response(200, json=page)


def _table(ident: str) -> dict[str, Any]:
    fields = [{"id": "fld1", "name": "Name", "type": "singleLineText"}]
    return {"id": ident, "name": ident[3:], "primaryFieldId": "fld1", "fields": fields}


def shown(record: Record) -> dict[str, Any]:
    image = {
        "id": "att1",
        "url": f"https://files.example/{record.changed.timestamp()}",
        "filename": "plan.png",
    }
    fields = {"Name": f"Task {record.id}", "Notes": record.words, "Files": [image]}
    return {"id": record.id, "createdTime": iso(record.created), "fields": fields}

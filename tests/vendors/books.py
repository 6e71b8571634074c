"""What accounts in memory have in common: records by kind, and time that passes."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, ClassVar

import httpx

from wellhead.domain.items import Ref
from wellhead.sources.declared.shipped import shipped
from wellhead.sources.testing import Vendor

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
SOURCES = {one.info.short_name: one for one in shipped()}


@dataclass
class Record:
    kind: str
    id: str
    created: datetime
    changed: datetime
    words: str
    gone: datetime | None = None
    """When it went, where the vendor still speaks of it."""
    more: dict[str, Any] = field(default_factory=dict)


class Books(Vendor):
    """Records of several kinds; all time passes minute by minute, told in each answer.

    A record is of the first kind unless its number says otherwise.
    """

    kinds: ClassVar[Mapping[str, str]]
    """By kind, the entity type."""
    every: ClassVar[int] = 10
    """So many records are of the first kind for one of each other."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Record]] = {kind: {} for kind in self.kinds}
        self.now = BEGINNING
        self.number = 0
        self.requests: list[httpx.Request] = []

    # --- what the suite does to it ---

    def add(self, count: int) -> Sequence[Ref]:
        return [self.ref(self.write()) for _ in range(count)]

    def change(self) -> Ref:
        record = next(iter(self.living(next(iter(self.kinds)))))
        record.changed, self.number = self.later(), self.number + 1
        record.words = f"said for the {self.number}th time"
        self.happened(record, "updated")
        return self.ref(record)

    def remove(self) -> Ref:
        living = self.living(next(iter(self.kinds)))
        record = living[len(living) // 2]
        record.gone = record.changed = self.later()
        self.happened(record, "deleted")
        return self.ref(record)

    def write(self) -> Record:
        self.number += 1
        others = list(self.kinds)[1:]
        place = self.number % (self.every + len(others))
        kind = (
            others[place - 1] if 1 <= place <= len(others) else next(iter(self.kinds))
        )
        now = self.later()
        record = Record(kind, self.id_of(kind), now, now, f"says {self.number}")
        self.records[kind][record.id] = record
        self.happened(record, "created")
        return record

    # --- what vendors say ---

    def id_of(self, kind: str) -> str:  # some say the kind in the id
        return str(1000 + self.number)

    def happened(self, record: Record, what: str) -> None:
        """Hear of a change, for vendors that keep a log of them."""

    @abstractmethod
    def is_authorised(self, request: httpx.Request) -> bool:
        """Tell whether the request shows the token as this vendor wants it."""

    @abstractmethod
    def route(self, request: httpx.Request) -> httpx.Response:
        """Answer an authorised request."""

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.is_authorised(request):
            answer = self.route(request)
        else:
            answer = httpx.Response(401, json={"message": "who are you?"})
        answer.headers["date"] = format_datetime(self.now, usegmt=True)
        return answer

    def living(self, kind: str) -> list[Record]:
        return [one for one in self.records[kind].values() if one.gone is None]

    def ref(self, record: Record) -> Ref:
        return Ref(self.kinds[record.kind], record.id)

    def later(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def not_found() -> httpx.Response:
    return httpx.Response(404, json={"message": "Not Found"})

"""From a vendor's record to an entity, or to what is known instead."""

from dataclasses import dataclass, field
from typing import Any

from wellhead.domain.entities import Breadcrumb, Entity
from wellhead.domain.errors import FailureClass
from wellhead.domain.items import Delete, Failure, Item, Ref, Seen, Upsert
from wellhead.sources.declared.definition import Condition, Stream
from wellhead.sources.declared.templates import Values, moment, path, template


@dataclass(frozen=True, slots=True)
class Family:
    """What a record belongs to: that which its stream is read for, and those above."""

    record: dict[str, Any] = field(default_factory=dict)
    breadcrumbs: tuple[Breadcrumb, ...] = ()


@dataclass(frozen=True, slots=True)
class Describer:
    """Makes items of one stream's records."""

    stream: Stream
    config: dict[str, Any]
    family: Family
    digest: str
    """Of the definition: what it made of a version may look otherwise with another."""

    def values(self, record: Any) -> Values:
        return {"record": record, "config": self.config, "parent": self.family.record}

    def ref(self, record: Any) -> Ref:
        """Raises ValueError if it has no id."""
        text = template(self.stream.id).fill_all(self.values(record))
        return Ref(self.stream.type, text)

    def is_gone(self, record: Any) -> bool:
        return any(holds(one, record, self.config) for one in self.stream.gone)

    def item(self, record: Any) -> Item:
        """Return how it looks, or that it is gone or cannot be read."""
        try:
            ref = self.ref(record)
        except ValueError as error:
            return Failure(None, f"a record of {self.stream.type} is odd: {error}")
        if self.is_gone(record):
            return Delete(ref)
        try:
            return Upsert(self.entity(record, ref))
        except ValueError as error:
            return Failure(ref, f"it is odd: {error}", FailureClass.PERMANENT)

    def seen(self, record: Any) -> Item:
        """Return only that it is there."""
        found = self.item(record) if self.is_gone(record) else None
        if found is not None:
            return found
        try:
            return Seen(self.ref(record))
        except ValueError as error:
            return Failure(None, f"a record of {self.stream.type} is odd: {error}")

    def entity(self, record: Any, ref: Ref) -> Entity:
        """Raises ValueError."""
        values, stream = self.values(record), self.stream
        name = template(stream.name).fill(values) or ref.source_id
        return Entity(
            type=ref.type,
            source_id=ref.source_id,
            name=" ".join(name.split()),
            text=template(stream.text).fill(values) or name,
            source_version=self._version(record),
            created_at=_moment(stream.created, record),
            updated_at=_moment(stream.updated, record),
            breadcrumbs=self.family.breadcrumbs,
            url="" if stream.url is None else template(stream.url).fill(values),
            raw={one: path(one).find({"record": record}) for one in stream.raw},
        )

    def _version(self, record: Any) -> str | None:
        if self.stream.updated is None:
            return None
        found = path(self.stream.updated).find({"record": record})
        return None if found in (None, "") else f"{self.digest}:{found}"

    def within(self, record: Any, ref: Ref) -> Family:
        """Return the family of what is read for this record."""
        name = template(self.stream.name).fill(self.values(record))
        step = Breadcrumb(ref.source_id, name or ref.source_id, ref.type)
        return Family(
            {**record, "parent": self.family.record},
            (*self.family.breadcrumbs, step),
        )


def holds(condition: Condition, record: Any, config: dict[str, Any]) -> bool:
    if condition.if_config is not None and not config.get(condition.if_config):
        return False
    found = path(condition.field).find({"record": record})
    if condition.equals is None:
        return bool(found)
    return bool(found == condition.equals)


def _moment(where: str | None, record: Any) -> Any:
    return None if where is None else moment(path(where).find({"record": record}))

"""What tools answer: data for programs, and the same as text that is quick to read."""

from typing import Any

from pydantic import BaseModel, Field

from wellhead.api.schemas.times import Instant


class Answer(BaseModel):
    """What is not known is left out."""

    def text(self) -> str:
        raise NotImplementedError

    def data(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_none=True)


class Hit(BaseModel):
    uri: str = Field(description="The entity, for read_entity.")
    chunk: int = Field(description="Which passage of the entity, for around_chunk.")
    name: str
    score: float = Field(description="Compares within this answer only.")
    source: str
    source_connection_id: str
    entity_type: str
    path: str | None = None
    updated_at: Instant | None = None
    web_url: str | None = None
    live: bool | None = Field(
        default=None,
        description="True if its source was asked now: read_entity has no more of it.",
    )
    before: list[str] | None = Field(
        default=None, description="The passages right before it, if asked for."
    )
    text: str
    after: list[str] | None = Field(
        default=None, description="The passages right after it, if asked for."
    )


class Found(Answer):
    results: list[Hit]
    next_offset: int | None = None
    fallback: str | None = Field(
        default=None, description="Why it was searched by words only, if it was."
    )
    missing_sources: list[str] = Field(
        default=[], description="Sources that did not answer this time, and why."
    )

    def text(self) -> str:
        missing = [f"Did not answer: {one}." for one in self.missing_sources]
        if self.fallback is not None:
            missing.append(f"Searched by words only: {self.fallback}.")
        if not self.results:
            return "\n\n".join(
                [
                    "Nothing found. Try other words, another strategy, no filter, or "
                    "another collection (list_collections).",
                    *missing,
                ]
            )
        found = [_hit(place, one) for place, one in enumerate(self.results, 1)]
        return "\n\n".join([*found, *_more(self.next_offset), *missing])


class Passages(Answer):
    uri: str
    name: str
    source: str
    path: str | None = None
    updated_at: Instant | None = None
    web_url: str | None = None
    first_chunk: int | None = None
    last_chunk: int | None = None
    chunk_count: int
    next_chunk: int | None = None
    content: str

    def text(self) -> str:
        where = _joined(self.path, self.source, _day(self.updated_at), self.web_url)
        part = f"passages {self.first_chunk} to {self.last_chunk} of {self.chunk_count}"
        head = f"{self.name} ({where})\n{part if self.content else 'It has no text.'}"
        more = []
        if self.next_chunk is not None:
            more = [f"It goes on: read_entity with from_chunk={self.next_chunk}."]
        return "\n\n".join([head, *([self.content] if self.content else []), *more])


class CollectionShown(BaseModel):
    readable_id: str
    name: str
    status: str
    sources: list[str]


class Collections(Answer):
    collections: list[CollectionShown]
    next_offset: int | None = None

    def text(self) -> str:
        if not self.collections:
            return "There are no collections here."
        lines = [
            f"{one.readable_id}: {one.name} ({one.status}"
            f"{'; ' if one.sources else ''}{', '.join(one.sources)})"
            for one in self.collections
        ]
        return "\n".join([*lines, *_more(self.next_offset)])


class FieldShown(BaseModel):
    name: str
    type: str
    required: bool
    description: str | None = None


class SourceShown(BaseModel):
    short_name: str
    name: str
    description: str
    auth_methods: list[str]
    config_fields: list[FieldShown] | None = None
    credential_fields: list[FieldShown] | None = None


class Sources(Answer):
    sources: list[SourceShown]

    def text(self) -> str:
        return "\n".join(_source(one) for one in self.sources)


class ConnectionShown(BaseModel):
    id: str
    name: str
    source: str
    collection: str
    status: str
    entities: int


class Connections(Answer):
    connections: list[ConnectionShown]
    next_offset: int | None = None

    def text(self) -> str:
        if not self.connections:
            return "There are no source connections here."
        lines = [
            f"{one.id}: {one.name} ({one.source} in {one.collection}; {one.status}; "
            f"{one.entities} entities)"
            for one in self.connections
        ]
        return "\n".join([*lines, *_more(self.next_offset)])


class Job(Answer):
    job_id: str
    source_connection_id: str
    status: str
    started_at: Instant | None = None
    completed_at: Instant | None = None
    inserted: int
    updated: int
    deleted: int
    kept: int
    failed: int
    error: str | None = None
    error_category: str | None = None
    advice: str | None = None

    def text(self) -> str:
        counts = ("inserted", "updated", "deleted", "kept", "failed")
        said = [f"{getattr(self, name)} {name}" for name in counts]
        when = [
            f"{word} {moment:%Y-%m-%d %H:%M:%S} UTC"
            for word, moment in (
                ("started", self.started_at),
                ("ended", self.completed_at),
            )
            if moment is not None
        ]
        lines = [
            f"Job {self.job_id} of connection {self.source_connection_id}: "
            f"{self.status}",
            ", ".join(said),
            ", ".join(when),
            "" if self.error is None else f"Error: {self.error}",
            self.advice or "",
        ]
        return "\n".join(line for line in lines if line)


def _hit(place: int, one: Hit) -> str:
    where = _joined(one.path, one.source, _day(one.updated_at), one.web_url)
    head = (
        f"{place}. {one.name} ({where}; score {one.score:.3f})\n"
        f"{one.uri} chunk {one.chunk}"
    )
    return "\n".join([head, *(one.before or ()), one.text, *(one.after or ())])


def _source(one: SourceShown) -> str:
    lines = [f"{one.short_name}: {one.name}. {one.description}"]
    for title, fields in (
        ("config", one.config_fields),
        ("credentials", one.credential_fields),
    ):
        lines += [
            f"  {title}.{field.name} ({field.type}"
            f"{', required' if field.required else ''}): {field.description or ''}"
            for field in fields or ()
        ]
    return "\n".join(line.rstrip() for line in lines)


def _more(next_offset: int | None) -> list[str]:
    return [] if next_offset is None else [f"More with offset={next_offset}."]


def _joined(*parts: str | None) -> str:
    return "; ".join(part for part in parts if part)


def _day(moment: Instant | None) -> str | None:
    return None if moment is None else f"updated {moment:%Y-%m-%d}"

"""Loading an entity: its content is read, hashed, compared and split; all of it blocks.

Whoever calls it hears at every step what comes next, and may raise to end it.
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from os import stat_result
from pathlib import Path
from uuid import UUID

from wellhead.domain.chunks import text_hash
from wellhead.domain.entities import Blob, Entity
from wellhead.domain.errors import FailureStage
from wellhead.domain.files import TextKind, readable_suffix, text_kind
from wellhead.domain.items import Upsert
from wellhead.store.lookup import Facts
from wellhead.sync import diff
from wellhead.sync.batch import Loaded
from wellhead.sync.chunk import embedding_texts, passages
from wellhead.sync.convert.converter import Converted, Converter
from wellhead.sync.convert.text import BLOCK, decode, read_text
from wellhead.sync.diff import Verdict
from wellhead.sync.run import Run
from wellhead.sync.storable import canonical_pieces, stored_form

PART_PASSAGES = 1_000
Tell = Callable[[FailureStage], None]


@dataclass(frozen=True, slots=True)
class ToRead:
    """An entity whose content has to be looked at."""

    key: bytes
    item: Upsert
    scope: str
    facts: Facts

    @property
    def size(self) -> int:
        entity = self.item.entity
        return len(entity.text or "") if entity.blob is None else entity.blob.size

    @property
    def is_document(self) -> bool:
        """Whether its text takes a parser, in a process of its own."""
        blob = self.item.entity.blob
        return blob is not None and _kind(blob) is None


@dataclass(frozen=True, slots=True)
class Kept:
    """An entity whose content was compared and is the same."""

    key: bytes
    scope: str
    source_version: str | None


@dataclass(frozen=True, slots=True)
class Read:
    """An entity of which all is known but its text; `entity` in its stored form."""

    one: ToRead
    entity: Entity
    meta: str
    meta_hash: bytes
    content_hash: bytes
    file: "_File | None" = None

    async def converted_by(self, converter: Converter) -> Converted:
        blob = self.one.item.entity.blob
        if blob is None or self.file is None:
            raise TypeError("only a file is converted")
        return await converter.text_of(
            self.file.path, name=blob.name, media_type=blob.media_type
        )


def load(run: Run, one: ToRead, tell: Tell) -> Loaded | Kept | Read:
    """Load an entity; a document comes back as `Read`, for `split` with its text."""
    entity = stored_form(one.item.entity)
    meta = diff.meta_json(entity, one.item.entity.raw)
    blob, file = one.item.entity.blob, None
    text: Iterable[str] = (one.item.entity.text or "",)
    if blob is None:
        content_hash = diff.text_digest(canonical_pieces(text))
    else:
        tell(FailureStage.READ)
        file = _open(blob)
        content_hash = file.digest
    read = Read(one, entity, meta, diff.meta_digest(meta), content_hash, file)
    if _is_unchanged(read):
        return Kept(one.key, one.scope, entity.source_version)
    if blob is None or file is None:
        return split(run, read, Converted(text, TextKind.TEXT), tell)
    kind = _kind(blob)
    if kind is None:
        return read
    tell(FailureStage.CONVERT)
    run.tools.converter.check_size(file.size)
    text = read_text(file.path) if file.data is None else (decode(file.data),)
    return split(run, read, Converted(text, kind), tell)


def split(run: Run, read: Read, converted: Converted, tell: Tell) -> Loaded:
    """Cut the text a part at a time."""
    one, entity, content_hash = read.one, read.entity, read.content_hash
    found = passages(
        canonical_pieces(converted.pieces),
        kind=converted.kind,
        budget=run.tools.embedder.chunk_characters,
    )
    texts: list[str] = []
    tell(FailureStage.CHUNK)
    while part := list(islice(found, PART_PASSAGES)):
        texts += part
        tell(FailureStage.CHUNK)
    if read.file is not None:
        content_hash = read.file.digest_now()
    return Loaded(
        entity=entity,
        key=one.key,
        scope=one.scope,
        known=one.facts.known,
        inserted_by=_inserted_by(run, one.facts),
        content_hash=content_hash,
        meta=read.meta,
        meta_hash=read.meta_hash,
        texts=texts,
        text_hashes=[*map(text_hash, embedding_texts(entity.name, texts))],
        characters=sum(map(len, texts)) + len(read.meta),
    )


def _is_unchanged(read: Read) -> bool:
    facts = read.one.facts
    verdict = diff.by_content(
        facts.known, facts.failure, read.content_hash, read.meta_hash
    )
    return verdict is Verdict.KEEP


def _inserted_by(run: Run, facts: Facts) -> UUID | None:
    """Whose insert a rollback would take back: nobody's, if it existed before."""
    if facts.known is not None:
        return facts.known.inserted_by
    if facts.change is not None and facts.change.before:
        return None
    return run.job.id


def _kind(blob: Blob) -> TextKind | None:
    """Return what a plain file is written in, None if it is not one."""
    suffix = readable_suffix(blob.name, blob.media_type)
    return None if suffix is None else text_kind(suffix)


@dataclass(frozen=True, slots=True)
class _File:
    """A file that was opened and read through once; a short one is held whole."""

    path: Path
    digest: bytes
    state: tuple[int, int]
    data: bytes | None

    @property
    def size(self) -> int:
        return self.state[1]

    def digest_now(self) -> bytes:
        """Return the digest; if the file changed since, one that no content has.

        What was read meanwhile is stored, and compared anew by the next job.
        """
        if self.data is not None:
            return self.digest  # of these very bytes
        now = _state(self.path.stat())
        if now == self.state:
            return self.digest
        return _digest(self.digest + repr(now).encode())


def _open(blob: Blob) -> _File:
    path = blob.open()
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        info = os.fstat(handle)
        most = min(info.st_size, BLOCK)
        data = _up_to(handle, most + 1)
        if len(data) <= most:
            return _File(path, _digest(data), _state(info), data)
        with open(handle, "rb", closefd=False) as file:  # it is open
            file.seek(0)
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
        return _File(path, digest.digest(), _state(info), None)
    finally:
        os.close(handle)


def _up_to(handle: int, size: int) -> bytes:
    """Read so much, or to the end; without the buffers that small files do not need."""
    data = os.read(handle, size)
    while len(data) < size and (more := os.read(handle, size - len(data))):
        data += more
    return data


def _state(info: stat_result) -> tuple[int, int]:
    return info.st_mtime_ns, info.st_size


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()

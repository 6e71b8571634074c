"""Messages and attachments as entities, and what is fetched when one is opened."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any

from imapclient.exceptions import ProtocolError

from wellhead.domain.entities import Breadcrumb, Entity
from wellhead.domain.errors import EntityError, FailureClass
from wellhead.domain.files import readable_suffix
from wellhead.domain.items import Failure, Item, Ref, Upsert
from wellhead.sources.connectors.imap.session import FolderError, Session, Values
from wellhead.sources.connectors.imap.structure import (
    FORWARDED,
    Part,
    StructureError,
    content,
    decoded,
    read_structure,
)
from wellhead.sources.downloads import Downloads

MESSAGE = "Message"
ATTACHMENT = "Attachment"
MEGABYTE = 2**20
MOST_BODY_MB = 25
MOST_NAME = 250
SHOWN = "SUBJECT FROM TO CC DATE"
HEAD = f"BODY.PEEK[HEADER.FIELDS ({SHOWN} MESSAGE-ID IN-REPLY-TO REFERENCES)]"
ASKED = f"(UID FLAGS RFC822.SIZE INTERNALDATE {HEAD} BODYSTRUCTURE)"
ASKED_WITHOUT_STRUCTURE = f"(UID FLAGS RFC822.SIZE INTERNALDATE {HEAD})"
_REPLY = re.compile(r"^\s*((re|aw|fwd?|wg|sv|antw)(\[\d+\])?\s*:\s*)+", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"<[^<>\s]+>")


@dataclass(frozen=True, slots=True)
class Place:
    """Which message: a folder's UIDs mean something only with its UIDVALIDITY."""

    folder: str
    validity: int
    uid: int

    @property
    def source_id(self) -> str:
        return f"{self.folder}/{self.validity}/{self.uid}"

    def file_id(self, section: str) -> str:
        return f"{self.source_id}/{section}"


def place_of(ref: Ref) -> Place | None:
    """Return which message an entity is, or belongs to; None if it is none of ours."""
    section = r"/[\d.]+" if ref.type == ATTACHMENT else ""
    found = re.fullmatch(rf"(.*)/(\d+)/(\d+){section}", ref.source_id, re.DOTALL)
    return None if found is None else Place(found[1], int(found[2]), int(found[3]))


@dataclass(frozen=True, slots=True)
class Described:
    """A message's items, and which sections of it are attachments that are read."""

    items: list[Item]
    sections: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """Makes items of what a listing tells; contents come by another connection."""

    files: Session
    downloads: Downloads
    steps: Callable[[str], tuple[Breadcrumb, ...]]
    """The way to a folder."""
    most_mb: int
    reads_attachments: bool

    def describe(self, place: Place, values: Values) -> Described:
        head = message_from_bytes(_value(values, b"BODY[HEADER") or b"")
        try:
            whole: Part | None = read_structure(values[b"BODYSTRUCTURE"])
        except (StructureError, KeyError):
            whole = None  # read as one file then
        entity = self._message(place, head, values)
        size = int(values.get(b"RFC822.SIZE") or 0)
        parts = [] if whole is None else [*whole.leaves()]
        body = size if whole is None else sum(p.size for p in parts if p.is_body)
        files = [part for part in parts if self.reads_attachments and _is_file(part)]
        items: list[Item] = [self._file(place, part, entity) for part in files]
        sections = [part.section for part in files]
        if body > MOST_BODY_MB * MEGABYTE:
            failure = _too_large(Ref(MESSAGE, place.source_id), MOST_BODY_MB)
            return Described([failure, *items], sections)
        write = partial(self._write_message, place, whole)
        blob = self.downloads.blob("message.eml", body, write)
        entity = replace(entity, blob=replace(blob, is_size_guessed=True))
        return Described([Upsert(entity), *items], sections)

    def _message(self, place: Place, head: Message, values: Values) -> Entity:
        subject = decoded(str(head["subject"] or ""))
        arrived = values.get(b"INTERNALDATE")
        thread = _thread(head) or place.source_id
        topic = _REPLY.sub("", subject)[:MOST_NAME] or "(no subject)"
        return Entity(
            type=MESSAGE,
            source_id=place.source_id,
            name=subject[:MOST_NAME] or "(no subject)",
            source_version="1",  # a message with this UID is never another one
            created_at=_date(str(head["date"] or "")) or _aware(arrived),
            updated_at=_aware(arrived),
            breadcrumbs=(
                *self.steps(place.folder),
                Breadcrumb(thread, topic, "Thread"),
            ),
            raw={
                "folder": place.folder,
                "uid": place.uid,
                "message_id": _first_id(str(head["message-id"] or "")),
                "thread_id": thread,
                "from": _people(head, "from"),
                "to": _people(head, "to"),
                "cc": _people(head, "cc"),
            },
        )

    def _file(self, place: Place, part: Part, message: Entity) -> Item:
        ident = place.file_id(part.section)
        name = part.name or _default_name(part)
        if part.content_size > self.most_mb * MEGABYTE:
            return _too_large(Ref(ATTACHMENT, ident), self.most_mb)
        write = partial(self._write_file, place, part)
        blob = self.downloads.blob(name, part.content_size, write)
        return Upsert(
            replace(
                message,
                type=ATTACHMENT,
                source_id=ident,
                name=name[:MOST_NAME],
                blob=replace(blob, is_size_guessed=True, media_type=part.media),
                breadcrumbs=(
                    *message.breadcrumbs,
                    Breadcrumb(message.source_id, message.name, MESSAGE),
                ),
                raw={**message.raw, "media_type": part.media, "section": part.section},
            )
        )

    def _write_message(self, place: Place, whole: Part | None, target: Path) -> None:
        """Put together what its reader sees; attachments are left where they are."""
        if whole is None:
            target.write_bytes(self._sections(place, [""])[""])
            return
        names = [part.section for part in whole.leaves() if part.is_body]
        found = self._sections(place, [f"HEADER.FIELDS ({SHOWN})", *names])
        head = next(data for name, data in found.items() if name.startswith("HEADER"))
        target.write_bytes(head.rstrip(b"\r\n") + b"\r\n" + _assembled(whole, found))

    def _write_file(self, place: Place, part: Part, target: Path) -> None:
        data = self._sections(place, [part.section])[part.section]
        target.write_bytes(content(data, part.encoding))

    def _sections(self, place: Place, names: list[str]) -> dict[str, bytes]:
        asked = " ".join(f"BODY.PEEK[{name}]" for name in names)
        try:
            if self.files.opened(place.folder).validity != place.validity:
                raise _gone("The folder was made anew")
            found = self.files.fetch(place.folder, [place.uid], f"(UID {asked})")
        except (FolderError, ProtocolError) as error:
            raise _gone(f"It cannot be fetched: {error}") from error
        if place.uid not in found:
            raise _gone("It is no longer there")
        values = found[place.uid]
        return {name: _value(values, _asked(name)) or b"" for name in names}


def _assembled(part: Part, found: dict[str, bytes]) -> bytes:
    """Return the part with its header, without what is not part of the body."""
    if not part.media.startswith("multipart/"):
        told = f'; charset="{part.charset}"' if part.charset else ""
        head = (
            f"Content-Type: {part.media}{told}\r\n"
            f"Content-Transfer-Encoding: {part.encoding}\r\n\r\n"
        )
        return head.encode("ascii", "replace") + found.get(part.section, b"")
    line = f"=_wellhead_{part.section or '0'}"
    children = [one for one in part.children if any(p.is_body for p in one.leaves())]
    pieces = [f'Content-Type: {part.media}; boundary="{line}"\r\n'.encode()]
    for child in children:
        pieces += [f"\r\n--{line}\r\n".encode(), _assembled(child, found)]
    return b"".join([*pieces, f"\r\n--{line}--\r\n".encode()])


def _is_file(part: Part) -> bool:
    if part.is_body:
        return False
    return readable_suffix(part.name, part.media) is not None


def _default_name(part: Part) -> str:
    if part.media == FORWARDED:
        return "forwarded.eml"
    return f"attachment{readable_suffix('', part.media) or ''}"


def _asked(name: str) -> bytes:
    """Return what the answer calls it; headers are named as the server likes."""
    return b"BODY[HEADER" if name.startswith("HEADER") else f"BODY[{name}]".encode()


def _value(values: Values, beginning: bytes) -> bytes | None:
    """Servers repeat what was asked for in their own spelling."""
    for name, value in values.items():
        if name.upper().startswith(beginning.upper()) and isinstance(value, bytes):
            return value
    return None


def _thread(head: Message) -> str:
    """Return the first message of the conversation: all its answers name it."""
    for name in ("references", "in-reply-to", "message-id"):
        found = _first_id(str(head[name] or ""))
        if found:
            return found
    return ""


def _first_id(text: str) -> str:
    found = _MESSAGE_ID.search(text)
    return found.group() if found else ""


def _people(head: Message, name: str) -> list[str]:
    raw = [str(one) for one in head.get_all(name, [])]
    return [address for _, address in getaddresses(raw) if address]


def _date(text: str) -> datetime | None:
    try:
        return _aware(parsedate_to_datetime(text))
    except (ValueError, TypeError, OverflowError):
        return None


def _aware(moment: Any) -> datetime | None:
    if not isinstance(moment, datetime):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _too_large(ref: Ref, most_mb: int) -> Failure:
    return Failure(
        ref, f"Larger than {most_mb} MB", FailureClass.PERMANENT, source_version="1"
    )


def _gone(reason: str) -> EntityError:
    return EntityError(reason, failure_class=FailureClass.TRANSIENT)


def deletes(place: Place, sections: list[str]) -> Iterator[Ref]:
    """Name a message and its attachments, which go together."""
    yield Ref(MESSAGE, place.source_id)
    for section in sections:
        yield Ref(ATTACHMENT, place.file_id(section))

"""What a message is made of, as BODYSTRUCTURE tells it, before anything is fetched."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.header import decode_header, make_header
from typing import Any
from urllib.parse import unquote

BODIES = frozenset({"text/plain", "text/html"})
FORWARDED = "message/rfc822"
_ENCODINGS = frozenset({"7bit", "8bit", "binary", "quoted-printable", "base64"})
MOST_DEPTH = 20


class StructureError(Exception):
    """The server describes a message in a way that nobody understands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part; a multipart has `children` and no content of its own."""

    section: str
    """How it is asked for: 1, 2.1."""
    media: str
    children: tuple["Part", ...] = ()
    charset: str = ""
    encoding: str = "7bit"
    size: int = 0
    """In bytes, as it is sent."""
    name: str = ""
    is_attachment: bool = False

    @property
    def is_body(self) -> bool:
        """Whether it belongs to what a reader of the message sees at once."""
        return self.media in BODIES and not self.is_attachment and not self.name

    @property
    def content_size(self) -> int:
        """About how many bytes it has once it is decoded."""
        return self.size * 3 // 4 if self.encoding == "base64" else self.size

    def leaves(self) -> Iterator["Part"]:
        if self.media.startswith("multipart/"):
            for child in self.children:
                yield from child.leaves()
        else:
            yield self


def read_structure(given: Any) -> Part:
    """Raises StructureError."""
    try:
        found = _part(given, "", 0)
    except (IndexError, TypeError, ValueError, AttributeError) as error:
        raise StructureError(str(error)) from error
    return found


def _part(given: Any, section: str, depth: int) -> Part:
    if depth > MOST_DEPTH:
        raise StructureError("parts are nested too deep")
    if not isinstance(given[0], list | tuple):
        return _leaf(given, section or "1")
    before = f"{section}." if section else ""
    children = tuple(
        _part(child, f"{before}{number}", depth + 1)
        for number, child in enumerate(given[0], start=1)
    )
    return Part(
        section=section, media=f"multipart/{_text(given[1]).lower()}", children=children
    )


def _leaf(given: Any, section: str) -> Part:
    media = f"{_text(given[0])}/{_text(given[1])}".lower()
    told = _pairs(given[2])
    disposition, about = _disposition(given, media)
    name = _name(about, "filename") or _name(told, "name")
    return Part(
        section=section,
        media=media,
        charset=re.sub(r"[^\w.:-]", "", told.get("charset", "")),
        encoding=_encoding(_text(given[5])),
        size=int(given[6] or 0),
        name=name,
        is_attachment=disposition == "attachment" or media == FORWARDED,
    )


def _encoding(told: str) -> str:
    return told.lower() if told.lower() in _ENCODINGS else "8bit"


def _disposition(given: Any, media: str) -> tuple[str, Mapping[str, str]]:
    """Return it from behind what each kind of part has of its own."""
    own = 10 if media == FORWARDED else 8 if media.startswith("text/") else 7
    found = given[own + 1] if len(given) > own + 1 else None
    if not isinstance(found, tuple) or not found:
        return "", {}
    return _text(found[0]).lower(), _pairs(found[1] if len(found) > 1 else None)


def _pairs(given: Any) -> dict[str, str]:
    if not isinstance(given, tuple):
        return {}
    texts = [_text(one) for one in given]
    return {key.lower(): value for key, value in zip(*[iter(texts)] * 2, strict=False)}


def _name(told: Mapping[str, str], key: str) -> str:
    """Return a file's name, in whichever of three ways it is coded (RFC 2231, 2047)."""
    starred = [one for one in told if one.startswith(f"{key}*")]
    raw = "".join(told[one] for one in sorted(starred, key=lambda one: (len(one), one)))
    charset, _, coded = raw.partition("'")
    if any(one.endswith("*") for one in starred) and "'" in coded:
        return _clean(_unquoted(coded.partition("'")[2], charset))
    return _clean(decoded(raw or told.get(key, "")))


def _unquoted(coded: str, charset: str) -> str:
    try:
        return unquote(coded, charset or "utf-8", "replace")
    except LookupError:
        return unquote(coded, "utf-8", "replace")


def decoded(raw: str) -> str:
    """Return a header as people read it."""
    try:
        text = str(make_header(decode_header(raw)))
    except (LookupError, UnicodeError, ValueError):
        text = raw
    return " ".join(text.replace("\x00", "").split())


def content(data: bytes, encoding: str) -> bytes:
    """Return a part as it was before it was coded for the way."""
    head = f"Content-Transfer-Encoding: {encoding}\r\n\r\n".encode("ascii", "replace")
    found = message_from_bytes(head + data).get_payload(decode=True)
    return found if isinstance(found, bytes) else data


def _clean(name: str) -> str:
    return " ".join(name.replace("\x00", "").replace("/", "_").split())


def _text(given: Any) -> str:
    if isinstance(given, bytes):
        return given.decode("utf-8", "replace")
    return "" if given is None else str(given)

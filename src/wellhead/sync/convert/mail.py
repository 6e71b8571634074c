"""E-mail messages to Markdown: headers, body, attachments."""

from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message

from wellhead.domain.errors import EntityError
from wellhead.domain.files import readable_suffix
from wellhead.sync.convert.text import decode

HEADERS = ("Subject", "From", "To", "Cc", "Date")
MAX_DEPTH = 10

Read = Callable[[bytes, str], str]
"""(content, suffix) of an attachment to its text; raises EntityError."""


def read_mail(data: bytes, read: Read | None) -> str:
    """Return the message as Markdown; without `read`, attachments are only named."""
    return "\n\n".join(_message(message_from_bytes(data), read, 0))


def _message(message: Message, read: Read | None, depth: int) -> Iterator[str]:
    lines = [f"{name}: {_header(message, name)}" for name in HEADERS if message[name]]
    if lines:
        yield "  \n".join(lines)
    yield from _part(message, read, depth)


def _part(part: Message, read: Read | None, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        yield "(parts nested deeper than this are not read)"
    elif part.get_content_type() == "multipart/alternative":
        yield from _part(_preferred(part), read, depth + 1)
    elif part.is_multipart():
        enter = _message if part.get_content_maintype() == "message" else _part
        for child in _children(part):
            yield from enter(child, read, depth + 1)
    else:
        yield from _leaf(part, read)


def _leaf(part: Message, read: Read | None) -> Iterator[str]:
    name = part.get_filename()
    suffix = readable_suffix(name or "", part.get_content_type())
    is_body = name is None and part.get_content_maintype() == "text"
    if is_body and suffix == ".txt":
        yield _text(part)
        return
    if not is_body:
        yield f"## Attachment: {name or part.get_content_type()}"
    if suffix is None or read is None:
        return
    try:
        yield read(_payload(part), suffix)
    except EntityError as error:
        yield f"(not read: {error})"


def _preferred(part: Message) -> Message:
    """Choose among versions of one body: plain text unless blank, else the last."""
    children = _children(part)
    for child in children:
        if child.get_content_type() == "text/plain" and _text(child).strip():
            return child
    return children[-1] if children else Message()


def _children(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [child for child in payload if isinstance(child, Message)]


def _text(part: Message) -> str:
    payload = _payload(part)
    charset = part.get_content_charset()
    try:
        return payload.decode(charset or "utf-8")
    except (LookupError, UnicodeDecodeError):
        return decode(payload)


def _payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _header(message: Message, name: str) -> str:
    raw = str(message[name])
    try:
        text = str(make_header(decode_header(raw)))
    except (LookupError, UnicodeDecodeError, ValueError):
        text = raw
    return " ".join(text.split())

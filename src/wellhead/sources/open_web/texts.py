"""Bytes of the web as text: what headers and documents say of it, and what is true."""

import re

_DECLARED = re.compile(
    rb"""<meta[^>]{1,200}?charset\s*=\s*["']?\s*([\w.:-]+)|<\?xml[^>]{1,200}?"""
    rb"""encoding\s*=\s*["']([\w.:-]+)""",
    re.IGNORECASE,
)
_BEGINNING = 2_048
_MEANT = {"iso-8859-1": "windows-1252", "latin1": "windows-1252", "utf-16": "utf-8"}
"""What browsers take a declaration for, because that is what is meant by it."""
_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
}


def decode(body: bytes, content_type: str = "") -> str:
    """Return the text; never fails: what is wrongly declared is read as it can be."""
    for charset in (*_told(body, content_type), "utf-8"):
        try:
            return body.decode(charset)
        except (LookupError, UnicodeError):
            continue
    return body.decode("windows-1252", "replace")


def _told(body: bytes, content_type: str) -> list[str]:
    marked = [name for mark, name in _MARKS.items() if body.startswith(mark)]
    said = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", content_type, re.IGNORECASE)
    declared = _DECLARED.search(body[:_BEGINNING])
    inside = "" if declared is None else (declared[1] or declared[2]).decode("ascii")
    found = [*marked, said[1] if said else "", inside]
    return [_MEANT.get(one.lower(), one) for one in found if one]

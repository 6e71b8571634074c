"""Addresses of pages in one spelling, so that no page has two of them."""

import re
from urllib.parse import parse_qsl, quote, urljoin, urlsplit, urlunsplit

MOST_CHARACTERS = 2_000
_PORTS = {"http": 80, "https": 443}
_SAFE = "%/:=&?~#+!$,;'@()*[]|-._"
_TRACKING = re.compile(
    r"utm_\w+|fbclid|gclid|dclid|msclkid|yclid|twclid|igshid|mc_[ce]id|_ga|_gl"
    r"|phpsessid|jsessionid|aspsessionid\w*|cfid|cftoken|session_?id",
    re.IGNORECASE,
)
_SESSION_IN_PATH = re.compile(r";(?:jsessionid|phpsessid)=[^/?;]*", re.IGNORECASE)


def normal(address: str, base: str = "") -> str | None:
    """Return it whole and without what does not name a page; None if it names none.

    Fragments, session ids and marks of campaigns go; the rest of the query stays, in
    its order.
    """
    try:
        parts = urlsplit(urljoin(base, _cleaned(address)))
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except (ValueError, UnicodeError):
        return None
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not host or "@" in parts.netloc:
        return None
    place = f"[{host}]" if ":" in host else host
    if port is not None and port != _PORTS[scheme]:
        place = f"{place}:{port}"
    way = quote(_SESSION_IN_PATH.sub("", parts.path) or "/", safe=_SAFE)
    query = quote(_without_tracking(parts.query), safe=_SAFE)
    found = urlunsplit((scheme, place, way, query, ""))
    return found if len(found) <= MOST_CHARACTERS else None


def origin(address: str) -> str:
    """Return the server of a normal address."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def host_of(address: str) -> str:
    return urlsplit(address).hostname or ""


def _cleaned(address: str) -> str:
    """Drop what people and editors leave around and inside of addresses."""
    return re.sub(r"[\x00-\x1f\x7f]", "", address).strip()


def _without_tracking(query: str) -> str:
    if not query or not any(
        _TRACKING.fullmatch(name)
        for name, _ in parse_qsl(query, keep_blank_values=True)
    ):
        return query
    kept = [
        part
        for part in query.split("&")
        if not _TRACKING.fullmatch(part.partition("=")[0])
    ]
    return "&".join(kept)

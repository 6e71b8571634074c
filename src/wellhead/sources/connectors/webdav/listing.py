"""Asking a WebDAV server: folders, properties, and what its answers mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

import httpx

from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    EntityError,
    FailureClass,
    RetryableError,
)

TIMEOUT = httpx.Timeout(60, connect=10)
_MULTI_STATUS = 207
_DAV = "{DAV:}"
_FILE_ID = "{http://owncloud.org/ns}fileid"
_ASK = (
    b'<?xml version="1.0"?><d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns">'
    b"<d:prop><d:resourcetype/><d:getetag/><d:getcontentlength/><d:getlastmodified/>"
    b"<oc:fileid/></d:prop></d:propfind>"
)


class FolderError(Exception):
    """One folder or file cannot be asked for; `status` is the server's answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}".strip())
        self.status = status


@dataclass(frozen=True, slots=True)
class Found:
    """One line of an answer; `place` is the path below the root, as in addresses."""

    place: str
    is_folder: bool
    etag: str
    size: int
    modified: datetime | None
    file_id: str
    refused: str = ""
    """Why the server does not say what it is: it may be a folder."""

    @property
    def path(self) -> str:
        return unquote(self.place, errors="surrogateescape")


class Server:
    """A folder of a server; addresses outside of it are never asked."""

    def __init__(self, url: str, auth: tuple[str, str] | None) -> None:
        self.url = url.rstrip("/") + "/"
        self._root = _same(urlsplit(self.url).path)
        self._auth = auth

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(auth=self._auth, timeout=TIMEOUT)

    async def list(
        self, client: httpx.AsyncClient, place: str, *, depth: int = 1
    ) -> list[Found]:
        """Return what the folder holds, with depth 0 the place itself.

        The answer is parsed as it arrives, and the line is free before anyone looks
        at a file. Raises FolderError where the server refuses this place alone.
        """
        with _translated(self.url):
            asking = client.stream(
                "PROPFIND",
                self.url + place,
                content=_ASK,
                headers={"Depth": str(depth), "Content-Type": "application/xml"},
            )
            async with asking as response:
                _judge(self.url, response)
                # expat itself stops entity bombs
                parser: XMLPullParser[Any] = XMLPullParser(["end"])
                lines: list[Found] = []
                async for data in response.aiter_bytes():
                    parser.feed(data)
                    lines += self._found(parser)
                parser.close()
        return lines if depth == 0 else _inside(place, lines)

    def download(self, client: httpx.Client, place: str, target: Path) -> None:
        """Write the content; raises EntityError."""
        try:
            asking = client.stream("GET", self.url + place, auth=self._auth)
            with asking as response, target.open("wb") as file:
                if response.status_code != httpx.codes.OK:
                    status = f"{response.status_code} {response.reason_phrase}"
                    is_gone = response.status_code in {404, 410}
                    raise EntityError(
                        "It is no longer there" if is_gone else f"Refused: {status}",
                        failure_class=FailureClass.TRANSIENT,
                    )
                for data in response.iter_bytes():
                    file.write(data)
        except httpx.HTTPError as error:
            raise EntityError(
                f"It cannot be read: {_text(error)}",
                failure_class=FailureClass.TRANSIENT,
            ) from error

    def _found(self, parser: "XMLPullParser[Any]") -> Iterator[Found]:
        events: Any = parser.read_events()
        for _, element in events:
            if element.tag == f"{_DAV}response":
                path = _same(urlsplit(element.findtext(f"{_DAV}href", "")).path)
                if path.startswith(self._root) and not _is_gone(element):
                    yield _read(path.removeprefix(self._root), element)
                element.clear()


def _judge(url: str, response: httpx.Response) -> None:
    """Raise what an answer without a list means."""
    status, reason = response.status_code, response.reason_phrase
    if status == _MULTI_STATUS:
        return
    if status == httpx.codes.UNAUTHORIZED:
        raise CredentialsError(f"'{url}' refused the credentials: {status} {reason}")
    if status == httpx.codes.TOO_MANY_REQUESTS or status >= 500:
        raise RetryableError(
            f"'{url}' is busy: {status} {reason}", after=_after(response)
        )
    if response.is_redirect:
        where = response.headers.get("location", "elsewhere").partition("?")[0]
        raise ConfigError(f"'{url}' has moved to '{where}': name that address")
    raise FolderError(status, reason)


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise ConfigError(f"'{url}' is no usable address: {_text(error)}") from error
    except httpx.HTTPError as error:
        raise RetryableError(f"'{url}' cannot be reached: {_text(error)}") from error
    except ParseError as error:
        raise RetryableError(f"'{url}' broke off its answer: {error}") from error


def _inside(folder: str, lines: list[Found]) -> list[Found]:
    """Return what stands directly in the folder; an empty one still tells of itself."""
    itself = [one for one in lines if one.place == folder.rstrip("/")]
    found = [one for one in lines if _is_in(folder, one.place)]
    if itself and itself[0].refused:
        raise FolderError(_MULTI_STATUS, itself[0].refused)
    if not itself and not found:
        raise FolderError(_MULTI_STATUS, "the answer is about other places")
    return found


def _refusal(element: Element) -> str:
    """Return the status of a place of which the server tells nothing, else ""."""
    whole = element.findtext(f"{_DAV}status")
    parts = [
        one.findtext(f"{_DAV}status", "") for one in element.findall(f"{_DAV}propstat")
    ]
    if any(_is_ok(one) for one in parts):
        return ""
    told = next(iter(parts), "") if whole is None else whole
    return told.strip().partition(" ")[2] or "the server tells nothing of it"


def _is_gone(element: Element) -> bool:
    """Return whether it was removed while the folder was being looked at."""
    status = f"{element.findtext(f'{_DAV}status', '')} "
    return " 404 " in status or " 410 " in status


def _is_ok(status: str) -> bool:
    return " 200 " in f"{status} "


def _read(place: str, element: Element) -> Found:
    """Read one line; a property that the server does not have is empty."""
    told: dict[str, Element] = {
        one.tag: one
        for part in element.iter(f"{_DAV}propstat")
        if _is_ok(part.findtext(f"{_DAV}status", ""))
        for one in part.iter()
    }

    def text(name: str) -> str:
        return (told[name].text or "").strip() if name in told else ""

    size = text(f"{_DAV}getcontentlength")
    return Found(
        place=place.rstrip("/"),
        is_folder=f"{_DAV}collection" in told,
        etag=text(f"{_DAV}getetag").strip('"'),
        size=int(size) if size.isdecimal() else 0,
        modified=_date(text(f"{_DAV}getlastmodified")),
        file_id=text(_FILE_ID),
        refused=_refusal(element),
    )


def _is_in(folder: str, place: str) -> bool:
    """Return whether it stands directly in the folder: "" or "a/b/"."""
    rest = place.removeprefix(folder)
    is_name = "/" not in rest and rest not in {"", ".", ".."}
    return place.startswith(folder) and is_name


def _same(path: str) -> str:
    """Spell an address's path in one way: servers quote more or less."""
    return quote(unquote(path, errors="surrogateescape"), errors="surrogateescape")


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None


def _after(response: httpx.Response) -> float | None:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else None


def _text(error: Exception) -> str:
    return str(error).strip() or type(error).__name__

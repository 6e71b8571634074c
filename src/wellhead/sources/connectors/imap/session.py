"""One connection to an IMAP server. It is used in threads, by one of them at a time."""

import imaplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from threading import Lock
from time import monotonic
from typing import Any

from imapclient import imap_utf7
from imapclient.exceptions import ProtocolError
from imapclient.response_parser import parse_fetch_response, parse_response

from wellhead.domain.errors import ConfigError, CredentialsError, RetryableError
from wellhead.sources.connectors.imap.numbers import read_numbers, written_numbers

CONNECT_SECONDS = 30.0
IDLE_SECONDS = 60.0
"""After such a silence it is worth a look whether the server is still there."""
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_PASSING = ("[UNAVAILABLE]", "[LIMIT]", "[INUSE]", "[SERVERBUG]", "[CONTACTADMIN]")
Values = dict[bytes, Any]
"""What was fetched of one message, by the names that were asked for."""
MOST_IN_A_LINE = 50_000
"""UIDs that a search may answer: the library takes lines of a megabyte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Where to connect, how, and as whom."""

    host: str
    port: int
    security: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Folder:
    """A mailbox as it is listed; `kinds` are its attributes, in lower case."""

    name: str
    delimiter: str
    kinds: frozenset[str]


@dataclass(frozen=True, slots=True)
class Opened:
    """The state of a folder when it was opened. Without CONDSTORE `modseq` is 0."""

    validity: int
    modseq: int
    count: int
    next_uid: int


class FolderError(Exception):
    """This folder cannot be opened or read; others can."""


class Session:
    """Connects when it is first asked, and again after it was cut off."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._client: imaplib.IMAP4 | None = None
        self._folder: str | None = None
        self._opened = Opened(0, 0, 0, 0)
        self._lock = Lock()
        self._used_at = 0.0
        self._is_closed = False
        self.tells_vanished = False

    def folders(self) -> list[Folder]:
        with self._asking() as client:
            answer = _good(client.list(), FolderError("folders cannot be listed"))
            lines = [one for one in answer if one]
            parsed: Any = parse_response(lines)
            return [
                Folder(
                    _folder_name(parsed[at + 2]),
                    _text(parsed[at + 1]),
                    frozenset(_text(one).lower() for one in parsed[at]),
                )
                for at in range(0, len(parsed), 3)
            ]

    def open(self, name: str) -> Opened:
        """Look at a folder anew. Raises FolderError."""
        with self._asking() as client:
            self._folder = None
            return self._select(client, name)

    def opened(self, name: str) -> Opened:
        """Return how the folder was when it was opened, perhaps before."""
        with self._asking() as client:
            return self._select(client, name)

    def numbers(self, name: str, since: date | None) -> set[int]:
        """Return the UIDs of all messages that are not marked as deleted."""
        asked = ["UNDELETED"]
        if since is not None:
            asked += ["SINCE", _english(since)]
        found: set[int] = set()
        with self._asking() as client:
            opened = self._select(client, name)
            for some in _ranges(opened):
                answer = client.uid("SEARCH", *some, *asked)
                lines = _good(answer, FolderError("a search is refused"))
                found |= {int(one) for line in lines if line for one in line.split()}
        return found

    def changes(self, name: str, modseq: int) -> tuple[set[int], set[int], set[int]]:
        """Return UIDs: there and changed, marked as deleted, and gone (QRESYNC)."""
        with self._asking() as client:
            self._select(client, name)
            client.response("VANISHED")  # what came by itself before
            told = f"(CHANGEDSINCE {modseq} VANISHED)"
            answer = client.uid("FETCH", "1:*", "(FLAGS)", told)
            found = _parsed(_good(answer, FolderError("changes are refused")))
            _, lines = client.response("VANISHED")
        gone: set[int] = set()
        for line in lines or ():
            if line:
                gone |= read_numbers(line.decode("ascii").rpartition(" ")[2])
        marked = {uid for uid, values in found.items() if is_marked(values)}
        return set(found) - marked, marked, gone

    def fetch(self, name: str, uids: Sequence[int], what: str) -> dict[int, Values]:
        """Return what is there of these. Raises FolderError, ProtocolError."""
        with self._asking() as client:
            self._select(client, name)
            answer = client.uid("FETCH", written_numbers(uids), what)
            found = _parsed(_good(answer, FolderError("it cannot be fetched")))
        return {uid: found[uid] for uid in uids if uid in found}

    def close(self) -> None:
        """Hang up, also in the midst of an answer that another thread waits for."""
        self._is_closed = True
        self._hang_up()

    def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(OSError, imaplib.IMAP4.error):
                client.shutdown()

    @contextmanager
    def _asking(self) -> Iterator[imaplib.IMAP4]:
        place = f"'{self._login.host}:{self._login.port}'"
        with self._lock:
            try:
                yield self._connected()
            except ssl.SSLCertVerificationError as error:
                self._hang_up()
                raise ConfigError(
                    f"{place} has a certificate that is not trusted: "
                    f"{error.verify_message}"
                ) from error
            except (imaplib.IMAP4.abort, OSError, EOFError) as error:
                self._hang_up()
                reason = str(error).strip() or type(error).__name__
                raise RetryableError(f"{place} cannot be reached: {reason}") from error
            except ProtocolError:
                raise
            except (imaplib.IMAP4.error, ValueError) as error:
                raise FolderError(str(error)) from error

    def _connected(self) -> imaplib.IMAP4:
        if self._is_closed:
            raise RetryableError("the connection was closed")
        is_idle = monotonic() - self._used_at > IDLE_SECONDS
        if self._client is not None and is_idle and not _lives(self._client):
            self._hang_up()  # servers end what has long been silent
        if self._client is None:
            self._folder = None
            self._client = self._connect()
        self._used_at = monotonic()
        return self._client

    def _connect(self) -> imaplib.IMAP4:
        login = self._login
        if login.security == "tls":
            client: imaplib.IMAP4 = imaplib.IMAP4_SSL(
                login.host,
                login.port,
                ssl_context=ssl.create_default_context(),
                timeout=CONNECT_SECONDS,
            )
        else:
            client = imaplib.IMAP4(login.host, login.port, timeout=CONNECT_SECONDS)
        try:
            if login.security == "starttls":
                client.starttls(ssl.create_default_context())
            self._prove(client)
            # much is offered only to those who have signed in
            _, told = client.capability()
            client.capabilities = tuple(_text(told[-1]).upper().split())
            self.tells_vanished = _can(client, "QRESYNC") and _can(client, "ENABLE")
            if self.tells_vanished:
                client.enable("QRESYNC")
        except BaseException:
            with suppress(OSError, imaplib.IMAP4.error):
                client.shutdown()
            raise
        return client

    def _prove(self, client: imaplib.IMAP4) -> None:
        login = self._login
        place = f"'{login.host}:{login.port}'"
        if _can(client, "LOGINDISABLED") and not _can(client, "AUTH=PLAIN"):
            raise ConfigError(f"{place} wants encryption: choose tls or starttls")
        try:
            if _can(client, "AUTH=PLAIN"):
                proof = f"\0{login.user}\0{login.password}".encode()
                client.authenticate("PLAIN", lambda _: proof)
            else:
                client.login(login.user, login.password)
        except imaplib.IMAP4.abort:
            raise
        except (imaplib.IMAP4.error, UnicodeError) as error:
            said = _said(error, login.password)
            if any(one in said for one in _PASSING):
                raise RetryableError(f"{place} lets nobody in now: {said}") from None
            # not chained: those errors may hold the password
            raise CredentialsError(f"{place} refused the credentials: {said}") from None

    def _select(self, client: imaplib.IMAP4, name: str) -> Opened:
        if self._folder != name:
            self._folder = None
            error = FolderError("it cannot be opened")
            count = _good(client.select(_quoted(name), readonly=True), error)
            self._opened = Opened(
                _told(client, "UIDVALIDITY"),
                _told(client, "HIGHESTMODSEQ"),
                int(count[0] or 0),
                _told(client, "UIDNEXT"),
            )
            self._folder = name
        return self._opened


def is_marked(values: Values) -> bool:
    """Tell whether somebody has marked it as deleted: people see it no more."""
    return any(flag.lower() == b"\\deleted" for flag in values.get(b"FLAGS", ()))


def _ranges(opened: Opened) -> list[list[str]]:
    """Return what to search one after the other, so that no answer is too long."""
    if opened.count <= MOST_IN_A_LINE or not opened.next_uid:
        return [[]]
    steps = range(1, opened.next_uid, MOST_IN_A_LINE)
    return [["UID", f"{first}:{first + MOST_IN_A_LINE - 1}"] for first in steps]


def _lives(client: imaplib.IMAP4) -> bool:
    try:
        return client.noop()[0] == "OK"
    except (imaplib.IMAP4.error, OSError):
        return False


def _can(client: imaplib.IMAP4, what: str) -> bool:
    return what in client.capabilities


def _good(answer: tuple[str, list[Any]], error: FolderError) -> list[Any]:
    """Return what was answered; the server's own words are the reason if it is no."""
    status, data = answer
    if status != "OK":
        words = _text(data[0]) if data else ""
        raise FolderError(words or str(error))
    return data


def _parsed(data: list[Any]) -> dict[int, Values]:
    if data == [None]:
        return {}
    found: dict[int, Values] = parse_fetch_response(data, normalise_times=False)
    return found


def _told(client: imaplib.IMAP4, what: str) -> int:
    _, values = client.response(what)
    return int(values[0]) if values and values[0] else 0


def _folder_name(given: Any) -> str:
    return str(given) if isinstance(given, int) else str(imap_utf7.decode(given))


def _quoted(name: str) -> str:
    coded: str = imap_utf7.encode(name).decode("ascii")
    return '"' + coded.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _english(day: date) -> str:
    at = 3 * (day.month - 1)
    return f"{day.day}-{_MONTHS[at : at + 3]}-{day.year}"


def _said(error: Exception, password: str) -> str:
    if isinstance(error, UnicodeError):
        return "this server takes ASCII passwords only"
    words = error.args[0] if error.args else ""
    return _text(words).replace(password, "***") or "without a reason"


def _text(given: Any) -> str:
    if isinstance(given, bytes):
        return given.decode("utf-8", "replace")
    return "" if given is None else str(given)

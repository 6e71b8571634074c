"""The server as commands see it: its HTTP API, with errors in one line."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from wellhead.app.home import Home
from wellhead.app.settings import Settings, load
from wellhead.domain.errors import WellheadError

TIMEOUT_SECONDS = 60
PAGE = 1000
PATIENCE_SECONDS = 15
OPTIONS = {
    "class": "--class",
    "confirm_deletes": "--confirm-deletes",
    "cron": "--cron",
    "event_types": "--event",
    "expires_in_days": "--expires-in-days",
    "force_full_sync": "--full",
    "limit": "--limit",
    "offset": "--offset",
    "readable_id": "--readable-id",
    "stage": "--stage",
}
"""What the API calls a value, as it is typed for a command."""
_VALUE = re.compile(rf"\b({'|'.join(OPTIONS)})=(?=\S)")
_PLACE = re.compile(r"(body|path|query)\.")


class CommandError(WellheadError):
    """A command cannot do what was asked."""


class RefusedError(CommandError):
    """The server answered with an error; `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, the length of the whole, and where the next part begins."""

    rows: list[dict[str, Any]]
    total: int
    after: str | None


class Server:
    """Asks the API; every trouble is a CommandError."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def act_for(self, headers: Mapping[str, str]) -> None:
        """Send these headers, which name a principal, with every request."""
        self._client.headers.update(headers)

    def get(self, path: str, **params: Any) -> Any:
        """Read; waits a while when the server says that its database is away."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self._ask("GET", path, params=params)
            except RefusedError as error:
                is_away = error.status == httpx.codes.SERVICE_UNAVAILABLE
                if not is_away or time.monotonic() > until:
                    raise
            time.sleep(0.5)

    def post(self, path: str, body: Any = None, **params: Any) -> Any:
        return self._ask("POST", path, json=body, params=params)

    def answer(self, path: str, body: Any) -> httpx.Response:
        """Post, and return all of the answer: some is told in headers only."""
        return self._answer("POST", path, json=body, params={})

    def patch(self, path: str, body: Any) -> Any:
        return self._ask("PATCH", path, json=body, params={})

    def put(self, path: str, body: Any) -> Any:
        return self._ask("PUT", path, json=body, params={})

    def delete(self, path: str, **params: Any) -> Any:
        return self._ask("DELETE", path, params=params)

    def send(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """Post what is JSON already; a refusal is an answer as well."""
        return self._request("POST", path, content=body, headers=headers)

    def all(self, path: str, **params: Any) -> Iterator[Any]:
        """Yield every item of a list that is paged by skip and limit."""
        skip = 0
        while page := self.get(path, skip=skip, limit=PAGE, **params):
            yield from page
            if len(page) < PAGE:
                return
            skip += PAGE

    def page(self, path: str, **params: Any) -> Page:
        """Return a page of a list that is paged by `after`."""
        answer = self._answer("GET", path, params=params)
        link = answer.links.get("next")
        after = None if link is None else httpx.URL(link["url"]).params.get("after")
        rows = answer.json()
        total = answer.headers.get("X-Total-Count", len(rows))
        return Page(rows, int(total), after)

    def find(self, path: str) -> Any | None:
        """Return what is there, None when nothing is."""
        try:
            return self.get(path)
        except RefusedError as error:
            if error.status == httpx.codes.NOT_FOUND:
                return None
            raise

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        answer = self._answer(method, path, **more)
        try:
            return answer.json()
        except ValueError as error:
            raise CommandError(f"{self._client.base_url} is no Wellhead") from error

    def _answer(self, method: str, path: str, **more: Any) -> httpx.Response:
        given = {k: v for k, v in more.pop("params").items() if v is not None}
        response = self._request(method, path, params=given, **more)
        if response.is_success:
            return response
        raise RefusedError(explain(response), response.status_code)

    def _request(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **more)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise CommandError(
                f"no answer from {self._client.base_url} "
                f"({str(error) or type(error).__name__}): is the server running?"
            ) from error


def explain(response: httpx.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return f"the server answered {response.status_code}"
    errors = body.get("errors")
    if isinstance(errors, list) and errors:
        found = [
            f"{_typed(where)}: {what}" for one in errors for where, what in one.items()
        ]
        return "; ".join(found)
    said = str(body.get("detail", f"the server answered {response.status_code}"))
    said = _VALUE.sub(lambda value: f"{OPTIONS[value[1]]} ", said)
    if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        said += " (set WELLHEAD_API_KEY, or see `wellhead keys create --local`)"
    return said


def _typed(where: str) -> str:
    """Return what a person typed of what the API names by its place in a request."""
    return OPTIONS.get(where.rpartition(".")[2]) or _PLACE.sub("", where, count=1)


def segment(text: object) -> str:
    """Return one step of a path, whatever it holds."""
    return quote(str(text), safe="")


@contextmanager
def connect(url: str | None, data_dir: Path | None) -> Iterator[Server]:
    """Open the server that is named, or the one on the data directory."""
    settings = load(url=url, data_dir=data_dir)
    where = find_url(settings)
    if where is None:
        raise CommandError(
            f"no server runs on {settings.data_dir}: start one with `wellhead serve`, "
            "or name one with --url"
        )
    with opened(settings, where) as server:
        yield server


def find_url(settings: Settings) -> str | None:
    if settings.url is not None:
        return settings.url
    served = Home(settings.data_dir).served()
    return None if served is None else served.url


@contextmanager
def connect_or_start(url: str | None, data_dir: Path | None) -> Iterator[Server]:
    """The same, but start a server for as long as it is needed when none runs."""
    from wellhead.app.background import running

    settings = load(url=url, data_dir=data_dir)
    where = find_url(settings)
    if where is not None:
        with opened(settings, where) as server:
            yield server
        return
    with running(settings) as started, opened(settings, started.url) as server:
        yield server


@contextmanager
def opened(settings: Settings, url: str) -> Iterator[Server]:
    key = (
        settings.api_key.get_secret_value()
        if settings.api_key is not None
        else Home(settings.data_dir).read_key()
    )
    headers = {} if key is None else {"x-api-key": key}
    try:
        client = httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_SECONDS)
    except (httpx.InvalidURL, ValueError) as error:
        raise CommandError(f"'{url}' is no URL of a server") from error
    with client:
        yield Server(client)


def find_collection(server: Server, name: str) -> Any | None:
    """Return the collection of this readable id, or else of exactly this name."""
    found = server.find(f"/collections/{segment(name)}")
    if found is not None:
        return found
    named = server.all("/collections", search=name)
    return next((one for one in named if one["name"] == name), None)


def get_collection(server: Server, name: str) -> Any:
    found = find_collection(server, name)
    if found is None:
        raise CommandError(
            f"there is no collection '{name}'; see `wellhead collections list`"
        )
    return found

"""What is known of a vendor's API before the first request, and what one request is."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import httpx

from wellhead.domain.errors import SyncError

Query = Mapping[str, str | int | bool | None]
Auth = Callable[[httpx.Request, str], None]
"""Puts the token into a request that is about to leave."""

MEGABYTE = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, whole."""

    status: int
    headers: httpx.Headers
    body: bytes
    request: str
    """Method and path, as they may be shown."""

    @property
    def json(self) -> Any:
        """The body as JSON; raises ValueError."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. Calls only read, so each may be repeated, whatever its method."""

    url: str
    """A path below the base URL, or a whole URL."""
    query: Query = field(default_factory=dict)
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    """Sent as JSON, if there is one."""
    holds_cursor: bool = False
    """Then 410 means that the cursor is no longer accepted."""
    follows_redirects: bool = True
    """Else a redirect is an answer like any other."""

    def with_query(self, **more: str | int | bool | None) -> "Call":
        return replace(self, query={**self.query, **more})


def bearer(request: httpx.Request, token: str) -> None:
    request.headers["authorization"] = f"Bearer {token}"


def header(name: str, prefix: str = "") -> Auth:
    """Send the token in a header of this name."""

    def add(request: httpx.Request, token: str) -> None:
        request.headers[name] = f"{prefix}{token}"

    return add


def basic(user: str = "", *, token_is_user: bool = False) -> Auth:
    """Send the token as a password, or as the name of a user who has none."""

    def add(request: httpx.Request, token: str) -> None:
        pair = f"{token}:" if token_is_user else f"{user}:{token}"
        coded = base64.b64encode(pair.encode()).decode("ascii")
        request.headers["authorization"] = f"Basic {coded}"

    return add


def parameter(name: str) -> Auth:
    """Send the token in the query, for vendors who know no better."""

    def add(request: httpx.Request, token: str) -> None:
        request.url = request.url.copy_merge_params({name: token})

    return add


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """A vendor's API, as the client treats it."""

    name: str
    """How errors call it: "GitHub"."""
    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    auth: Auth = bearer
    seconds_if_busy: Callable[[Answer], float | None] = lambda _: None
    """Whether a 400 or 403 means "too fast" where the headers do not say so."""
    complaint: Callable[[Answer], SyncError | None] = lambda _: None
    """What a good status hides, for vendors who answer 200 to everything."""
    largest_answer: int = 32 * MEGABYTE
    at_once: int = 8
    """Requests under way at the same time."""
    leaves_home: bool = True
    """Whether an answer may lead to other hosts; they are never sent the token."""


def path(*segments: str | int) -> str:
    """Return a path of these segments, each quoted: none can leave its place."""
    quoted = [quote(str(one), safe="") for one in segments]
    if "." in quoted or ".." in quoted or "" in quoted:
        raise ValueError(f"{segments} cannot be a path")
    return "/" + "/".join(quoted)

"""The kinds of trouble that stand between a source and its vendor, and when they do."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum, auto

import httpx


class Fault(StrEnum):
    """What a network or a server does to a good answer."""

    CUT_OFF = auto()
    HANG_UP = auto()
    SILENCE = auto()
    STALL = auto()
    DRIP = auto()


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent, and what goes wrong on the way."""

    response: httpx.Response
    fault: Fault | None = None


Effect = Callable[[httpx.Request, Reply], Reply]


def status(code: int, **headers: str) -> Effect:
    """Answer with this status, in words that hold whatever the request proved."""

    def effect(request: httpx.Request, _: Reply) -> Reply:
        shown = {**request.headers, "query": request.url.query.decode()}
        body = json.dumps({"message": f"no, because {shown}"}).encode()
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return Reply(httpx.Response(code, headers=more, content=body))

    return effect


def instead(response: httpx.Response) -> Effect:
    """Answer this."""
    return lambda _, __: Reply(response)


def broken(fault: Fault) -> Effect:
    """Let the good answer break on its way."""
    return lambda _, reply: Reply(reply.response, fault)


def half_json(_: httpx.Request, reply: Reply) -> Reply:
    """Send half of the text, as if it were whole."""
    body = reply.response.content
    return Reply(
        httpx.Response(
            reply.response.status_code,
            headers={"content-type": "application/json"},
            content=body[: max(1, len(body) // 2)] + b"\xff",
        )
    )


def a_web_page(_: httpx.Request, __: Reply) -> Reply:
    """Send what a proxy shows to people."""
    page = "<!DOCTYPE html><html><body>We are down for maintenance</body></html>"
    return Reply(httpx.Response(200, html=page))


@dataclass(slots=True)
class Trouble:
    """Counts requests, and has an effect on some of them.

    `at` is the first that it has it on, `times` on how many; None means all others.
    """

    effect: Effect | None = None
    at: int = 0
    times: int | None = 1
    requests: list[httpx.Request] = field(default_factory=list)
    hit: list[httpx.Request] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    """It has had its effect."""

    def __call__(self, request: httpx.Request, response: httpx.Response) -> Reply:
        place = len(self.requests)
        self.requests.append(request)
        reply = Reply(response)
        is_over = self.times is not None and place >= self.at + self.times
        if self.effect is None or place < self.at or is_over:
            return reply
        self.hit.append(request)
        self.came.set()
        return self.effect(request, reply)


class Circle:
    """Answers a path with what it answered there first, whichever page is asked for."""

    def __init__(self) -> None:
        self._first: dict[str, httpx.Response] = {}

    def __call__(self, request: httpx.Request, reply: Reply) -> Reply:
        place = f"{request.method} {request.url.path}"
        return Reply(self._first.setdefault(place, reply.response))

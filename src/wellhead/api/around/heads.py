"""The layer that answers HEAD as GET without the body."""

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NO_READING = re.compile(r"/subscribe(-state)?/*$|/source-connections/+(callback|auth)")
"""Streams, which do not end, and links that a visit uses up: no HEAD for these."""


class Heads:
    """Lets a HEAD be a GET inside: probes and link checkers send them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "HEAD" or NO_READING.search(scope["path"]):
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        # a copy: the server has to know that there is no body to come
        read = {**scope, "method": "GET"}
        try:
            await self._app(read, receive, send_without_body)
        finally:
            if "route" in read:
                scope["route"] = read["route"]  # for the log

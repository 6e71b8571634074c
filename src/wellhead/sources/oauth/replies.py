"""Asking a provider, and what its answers and silences mean."""

import asyncio
import re
from typing import Any

import httpx

from wellhead.domain.errors import RetryableError

SECONDS = 20.0
"""All of one answer; whoever waits holds a row of the ledger meanwhile."""
_CODE = re.compile(r"[\w.-]{1,64}", re.ASCII)
_LONGEST_WAIT = 3600.0


async def ask(request: httpx.Request) -> httpx.Response:
    """Send one request, following no redirect: what it carries is for one host only.

    Raises RetryableError when the provider is away, busy or broken.
    """
    host = request.url.host
    try:
        async with asyncio.timeout(SECONDS), httpx.AsyncClient(timeout=SECONDS) as http:
            response = await http.send(request)
    except (httpx.HTTPError, TimeoutError) as error:
        raise RetryableError(f"{host} did not answer: {type(error).__name__}") from None
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise RetryableError(f"{host} is busy", after=_wait(response))
    if response.is_server_error:
        raise RetryableError(f"{host} answered {response.status_code}")
    return response


def named(problem: Any) -> str:
    """Return a provider's name for a problem, if it is a name and nothing else.

    Some send an object or a sentence, which may repeat what was sent to them.
    """
    if isinstance(problem, dict):
        problem = problem.get("code") or problem.get("type")
    return problem if isinstance(problem, str) and _CODE.fullmatch(problem) else ""


def _wait(response: httpx.Response) -> float | None:
    given = response.headers.get("Retry-After", "")
    return min(float(given), _LONGEST_WAIT) if given.isdecimal() else None

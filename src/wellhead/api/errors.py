"""The one place where errors become answers."""

import json
import math
from collections.abc import Iterator
from typing import Any

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DataError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.types import Scope

from wellhead.api.around.rates import RateLimitedError
from wellhead.api.around.requests import request_id_of, route_of
from wellhead.api.odd_input import odd_places
from wellhead.domain.errors import (
    InvalidInputError,
    RequestError,
    UnavailableError,
)
from wellhead.services.checks import UpstreamBusyError
from wellhead.services.validation import InvalidFieldsError
from wellhead.store.database import has_collided, is_gone

RETRY_AFTER_SECONDS = 5
COLLIDED_RETRY_AFTER_SECONDS = 1

UNREADABLE = (
    (RecursionError, "The body is nested too deeply"),
    (UnicodeDecodeError, "The body is not UTF-8"),
    (ValueError, "The body holds a number that is too long"),
)
"""Why a body could not be read, by what its parser raised."""
NOT_JSON = "Send JSON, and Content-Type: application/json"

log = structlog.get_logger(__name__)


class PlainAnswer(JSONResponse):
    """JSON in ASCII: what was sent and is repeated may be no text at all."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def answer_errors(app: FastAPI) -> None:
    """Give the application its answers; what is not listed is unexpected."""
    app.add_exception_handler(RequestError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused_by_the_framework)
    app.add_exception_handler(DataError, _not_storable)
    app.add_exception_handler(psycopg.DataError, _not_storable)
    app.add_exception_handler(UnicodeEncodeError, _not_storable)


async def _refused(_request: Request, error: Exception) -> PlainAnswer:
    if not isinstance(error, RequestError):
        raise TypeError(type(error))
    headers = {}
    if isinstance(error, UpstreamBusyError):
        headers["Retry-After"] = str(math.ceil(error.after))
    elif isinstance(error, RateLimitedError):
        headers["Retry-After"] = str(int(error.after) + 1)
    elif isinstance(error, UnavailableError):
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    body: dict[str, Any] = {"detail": error.message}
    if isinstance(error, InvalidInputError):
        body["errors"] = [{where: what} for where, what in _problems(error)]
    return PlainAnswer(body, status_code=error.status, headers=headers)


def _problems(error: InvalidInputError) -> tuple[tuple[str, str], ...]:
    if isinstance(error, InvalidFieldsError):
        return error.problems
    return ((error.field or "body", error.message),)


async def _invalid(request: Request, error: Exception) -> PlainAnswer:
    """Say where and why in both forms that clients read, never what was sent."""
    if not isinstance(error, RequestValidationError):
        raise TypeError(type(error))
    found = [
        {"loc": list(one["loc"]), "msg": _said(one, request), "type": one["type"]}
        for one in error.errors()
    ]
    errors = [{".".join(str(step) for step in one["loc"]): one["msg"]} for one in found]
    return PlainAnswer({"errors": errors, "detail": found}, status_code=422)


async def _refused_by_the_framework(request: Request, error: Exception) -> Response:
    """Say what is wrong with a body where the framework says only that it is."""
    if not isinstance(error, HTTPException):
        raise TypeError(type(error))
    for kind, said in UNREADABLE:
        if isinstance(error.__cause__, kind):
            found = [{"loc": ["body"], "msg": said, "type": "json_invalid"}]
            return PlainAnswer(
                {"errors": [{"body": said}], "detail": found}, status_code=422
            )
    return await http_exception_handler(request, error)


def _said(problem: dict[str, Any], request: Request) -> str:
    """Return what is wrong; of a body that was not read as JSON, just that."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = kind == "application/json" or kind.endswith("+json")
    said: str = problem["msg"]
    return NOT_JSON if tuple(problem["loc"]) == ("body",) and not is_json else said


async def _not_storable(request: Request, error: Exception) -> PlainAnswer:
    log.info("input refused by the database", error=type(error).__name__)
    message = "The request holds a character or a number that cannot be stored"
    errors = [{where: what} for where, what in odd_places(request)]
    return PlainAnswer(
        {"detail": message, "errors": errors or [{"body": message}]}, status_code=422
    )


def answer_unexpected(scope: Scope, error: Exception) -> PlainAnswer:
    """Say in the answer what kind of error it is, and everything in the log."""
    where = {"method": scope["method"], "route": route_of(scope)}
    if any(has_collided(one) for one in _chain(error)):
        log.warning("requests collided", **where, error=type(error).__name__)
        return _later(
            "Another request was changing the same at this moment; try again",
            COLLIDED_RETRY_AFTER_SECONDS,
        )
    if any(_is_away(one) for one in _chain(error)):
        log.warning("database away", **where, error=type(error).__name__)
        return _later(
            "The database is not available, try again soon", RETRY_AFTER_SECONDS
        )
    log.error("request failed", **where, exc_info=error)
    # its own words may repeat what was sent, or name files
    said = f"the server's log says more about request {request_id_of(scope)}"
    return PlainAnswer(
        {"detail": f"Internal Server Error: {type(error).__name__}: {said}"},
        status_code=500,
    )


def _later(message: str, seconds: int) -> PlainAnswer:
    headers = {"Retry-After": str(seconds)}
    return PlainAnswer({"detail": message}, status_code=503, headers=headers)


def _is_away(error: BaseException) -> bool:
    away = (psycopg.OperationalError, PoolTimeoutError)
    return isinstance(error, away) or is_gone(error)


def _chain(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__

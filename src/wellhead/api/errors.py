"""The one place where errors become answers."""

import math
from collections.abc import Iterator
from typing import Any

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from wellhead.domain.errors import (
    InvalidInputError,
    RequestError,
    UnavailableError,
)
from wellhead.services.checks import UpstreamBusyError
from wellhead.services.validation import InvalidFieldsError
from wellhead.store.database import is_gone

RETRY_AFTER_SECONDS = 5

log = structlog.get_logger(__name__)


def answer_errors(app: FastAPI) -> None:
    """Give the application its answers; what is not listed is a 500."""
    app.add_exception_handler(RequestError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(DataError, _not_storable)
    app.add_exception_handler(UnicodeEncodeError, _not_storable)
    # known ones by name: what is answered for Exception is also raised again and logged
    for kind in (SQLAlchemyError, psycopg.Error, OSError, Exception):
        app.add_exception_handler(kind, _unexpected)


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestError):
        raise TypeError(type(error))
    headers = {}
    if isinstance(error, UpstreamBusyError):
        headers["Retry-After"] = str(math.ceil(error.after))
    elif isinstance(error, UnavailableError):
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    body: dict[str, Any] = {"detail": error.message}
    if isinstance(error, InvalidInputError):
        body["errors"] = [{where: what} for where, what in _problems(error)]
    return JSONResponse(body, status_code=error.status, headers=headers)


def _problems(error: InvalidInputError) -> tuple[tuple[str, str], ...]:
    if isinstance(error, InvalidFieldsError):
        return error.problems
    return ((error.field or "body", error.message),)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    """Say where and why in both forms that clients read, never what was sent."""
    if not isinstance(error, RequestValidationError):
        raise TypeError(type(error))
    found = [
        {"loc": list(one["loc"]), "msg": one["msg"], "type": one["type"]}
        for one in error.errors()
    ]
    errors = [{".".join(str(step) for step in one["loc"]): one["msg"]} for one in found]
    return JSONResponse({"errors": errors, "detail": found}, status_code=422)


async def _not_storable(_request: Request, error: Exception) -> JSONResponse:
    log.info("input refused by the database", error=type(error).__name__)
    message = "The request holds a character or a number that cannot be stored"
    return JSONResponse(
        {"detail": message, "errors": [{"body": message}]}, status_code=422
    )


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    where = {"method": request.method, "path": request.url.path}
    if any(_is_away(one) for one in _chain(error)):
        log.warning("database away", **where, error=type(error).__name__)
        return JSONResponse(
            {"detail": "The database is not available, try again soon"},
            status_code=503,
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    log.error("request failed", **where, exc_info=error)
    said = type(error).__name__
    if not isinstance(error, SQLAlchemyError):  # whose text repeats stored values
        said += f": {error}"
    return JSONResponse({"detail": f"Internal Server Error: {said}"}, status_code=500)


def _is_away(error: BaseException) -> bool:
    away = (psycopg.OperationalError, PoolTimeoutError)
    return isinstance(error, away) or is_gone(error)


def _chain(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__

"""Whether this process lives and can serve; asked without a key."""

import time

from fastapi.responses import JSONResponse
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from wellhead.api.deps import PublicServices
from wellhead.api.routing import PrefixRouter
from wellhead.api.schemas.health import Check, Health, Life, Readiness

router = PrefixRouter(prefix="/health", tags=["health"])

NOT_USED = ("redis", "temporal")
"""What probes of the public contract look for and Wellhead works without."""
SKIPPED = Check(status="skipped")


@router.get("")
async def health() -> Health:
    """Say that this process answers."""
    return Health()


@router.get("/live")
async def live() -> Life:
    """Say that this process answers."""
    return Life()


@router.get(
    "/ready",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "It is not ready."}},
)
async def ready(parts: PublicServices) -> JSONResponse:
    """Say whether the database answers."""
    started = time.perf_counter()
    error = None
    try:
        async with parts.db.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except (SQLAlchemyError, OSError) as away:
        error = type(away).__name__
    check = Check(
        status="up" if error is None else "down",
        latency_ms=round((time.perf_counter() - started) * 1000, 2),
        error=error,
    )
    answer = Readiness(
        status="ready" if error is None else "not_ready",
        checks={"postgres": check} | dict.fromkeys(NOT_USED, SKIPPED),
    )
    return JSONResponse(answer.model_dump(), status_code=200 if error is None else 503)

"""Whether this process lives and can serve; asked without a key."""

import time

from fastapi.responses import JSONResponse
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from wellhead.api.deps import Services
from wellhead.api.routing import SlashRouter

router = SlashRouter(prefix="/health", tags=["health"])


@router.get("")
async def health() -> dict[str, str]:
    return {"status": "healthy"}


@router.get("/live")
async def live() -> dict[str, str]:
    return {"status": "alive"}


@router.get("/ready")
async def ready(parts: Services) -> JSONResponse:
    """Say whether the database answers."""
    started = time.perf_counter()
    error = None
    try:
        async with parts.db.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except (SQLAlchemyError, OSError) as away:
        error = type(away).__name__
    check = {
        "status": "up" if error is None else "down",
        "latency_ms": round((time.perf_counter() - started) * 1000, 2),
        "error": error,
    }
    return JSONResponse(
        {
            "status": "ready" if error is None else "not_ready",
            "checks": {"postgres": check},
        },
        status_code=200 if error is None else 503,
    )

"""The HTTP application, made from the parts it serves."""

from fastapi import FastAPI

from wellhead import __version__
from wellhead.api.around import (
    DEFAULT_ORIGINS,
    BodyLimit,
    OriginGuard,
    RateLimitHeaders,
)
from wellhead.api.auth import KeyRing
from wellhead.api.errors import answer_errors
from wellhead.api.routes import (
    api_keys,
    collections,
    entities,
    failures,
    health,
    jobs,
    search,
    source_connections,
    sources,
)
from wellhead.services.parts import Parts

LARGEST_BODY_BYTES = 10 * 1024 * 1024


def create_app(parts: Parts, *, auth: bool) -> FastAPI:
    """Return the application; the caller opens the parts before and closes them after.

    Without `auth` every request comes from the first organization.
    """
    app = FastAPI(
        title="Wellhead",
        version=__version__,
        redirect_slashes=False,
    )
    app.state.parts = parts
    app.state.key_ring = KeyRing(parts, is_required=auth)
    app.add_middleware(BodyLimit, most_bytes=LARGEST_BODY_BYTES)
    app.add_middleware(RateLimitHeaders)
    app.add_middleware(
        OriginGuard,
        allow_origins=DEFAULT_ORIGINS,
        allow_methods=["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"],
        allow_headers=["*"],
        allow_credentials=True,
        expose_headers=["Link", "Retry-After", "RateLimit-Limit", "X-Total-Count"],
    )
    answer_errors(app)
    for routes in (
        health,
        sources,
        collections,
        entities,
        source_connections,
        jobs,
        failures,
        search,
        api_keys,
    ):
        app.include_router(routes.router)
    return app

"""The HTTP application, made from the parts it serves."""

from functools import partial

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from wellhead import __version__
from wellhead.api.around.bounds import Bounds
from wellhead.api.around.heads import Heads
from wellhead.api.around.origins import Origins
from wellhead.api.around.rates import RateLimits
from wellhead.api.around.requests import Requests
from wellhead.api.auth import KeyRing
from wellhead.api.console.application import MOUNTED_AT, ConsoleApp
from wellhead.api.errors import answer_errors, answer_unexpected
from wellhead.api.openapi import TITLE, describe, name_operation
from wellhead.api.pages import add_pages
from wellhead.api.progress_stream import Pace
from wellhead.api.routes import (
    api_keys,
    audit_log,
    auth_providers,
    browse_tree,
    collections,
    connect,
    entities,
    entity_counts,
    failures,
    health,
    jobs,
    mcp,
    oauth,
    organizations,
    progress,
    search,
    search_legacy,
    source_connections,
    sources,
    usage,
    users,
    webhooks,
)
from wellhead.api.routing import OneForm
from wellhead.services.parts import Parts
from wellhead.services.progress import ProgressFeed

NOTHING_TOLD = TelemetryConfig(
    tracing=False,
    metrics=False,
    logs=False,
    operation_spans=False,
    auto_configure=False,
)


def create_app(parts: Parts, *, auth: bool, rate_limit: int = 0) -> FastAPI:
    """Return the application; the caller opens the parts before and closes them after.

    Without `auth` every request comes from the first organization. `rate_limit` is
    how much each organization may ask in a minute; 0 means as much as it likes.
    """
    app = FastAPI(
        title=TITLE,
        version=__version__,
        redirect_slashes=False,
        generate_unique_id_function=name_operation,
        docs_url=None,  # these would fetch scripts from others: see pages.py
        redoc_url=None,
        # whatever the environment says: nothing is told to anybody
        telemetry=NOTHING_TOLD,
    )
    describe(app)
    app.state.parts = parts
    app.state.progress = ProgressFeed(parts)
    app.state.progress_pace = Pace()
    app.state.key_ring = KeyRing(parts, is_required=auth)
    app.state.rate_limits = RateLimits(rate_limit) if rate_limit else None
    console = ConsoleApp(parts, app.state.progress, auth=auth)
    # from the inside to the outside
    app.add_middleware(OneForm, but=MOUNTED_AT)
    app.add_middleware(Bounds, unexpected=partial(_answer_unexpected, console))
    app.add_middleware(Origins)
    app.add_middleware(Heads)
    app.add_middleware(Requests)
    answer_errors(app)
    for routes in (
        jobs,  # what is asked most is tried first
        oauth,  # before what takes any word there for an id
        source_connections,
        collections,
        health,
        sources,
        entities,
        browse_tree,
        failures,
        search,
        search_legacy,
        mcp,
        progress,
        api_keys,
        organizations,
        users,
        audit_log,
        auth_providers,
        webhooks,
        usage,
        entity_counts,
        connect,
    ):
        app.include_router(routes.router)
    add_pages(app)
    app.add_api_route(MOUNTED_AT, _to_console, include_in_schema=False)
    app.mount(MOUNTED_AT, console)
    return app


async def _to_console() -> Response:
    return RedirectResponse(f"{MOUNTED_AT.removeprefix('/')}/", status_code=307)


def _answer_unexpected(console: ConsoleApp, scope: Scope, error: Exception) -> Response:
    if console.is_asked(scope):
        return console.answer_unexpected(scope, error)
    return answer_unexpected(scope, error)

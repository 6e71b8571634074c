"""The console as an application of its own, to be mounted into the API's."""

import json
from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from wellhead.api.console.around import HEADERS, Guarded
from wellhead.api.console.assets import Assets
from wellhead.api.console.rendering import Templates
from wellhead.api.console.views import (
    audit_log,
    catalogue,
    collections,
    connection_forms,
    connections,
    consent,
    exploring,
    home,
    jobs,
    keys,
    signing_in,
    system,
    webhooks,
)
from wellhead.api.console.visits import Console, Handler, for_anyone, for_members
from wellhead.api.errors import answer_unexpected
from wellhead.services.parts import Parts
from wellhead.services.progress import ProgressFeed

MOUNTED_AT = "/console"
NOT_FOUND = 404
NOT_SO = "This page cannot be asked in this way."

MEMBERS: Sequence[tuple[str, str, Handler]] = (
    ("GET", "/", home.show),
    ("GET", "/subscribe", home.follow),
    ("POST", "/organization", signing_in.choose),
    ("POST", "/sign-out", signing_in.sign_out),
    ("GET", "/collections", collections.list_all),
    ("GET", "/collections/new", collections.ask_for_new),
    ("POST", "/collections/new", collections.create),
    ("GET", "/collections/{readable_id}", collections.show),
    ("GET", "/collections/{readable_id}/growth", collections.show_growth),
    ("GET", "/collections/{readable_id}/search/agentic/subscribe", exploring.follow),
    ("POST", "/collections/{readable_id}/rename", collections.rename),
    ("POST", "/collections/{readable_id}/run", collections.run_all),
    ("GET", "/collections/{readable_id}/delete", collections.ask_to_delete),
    ("POST", "/collections/{readable_id}/delete", collections.delete),
    ("GET", "/connections", connections.list_all),
    ("GET", "/connections/new/{short_name}", connection_forms.ask_for_new),
    ("POST", "/connections/new/{short_name}", connection_forms.create),
    ("GET", "/connections/{id:uuid}", connections.show),
    ("GET", "/connections/{id:uuid}/subscribe", connections.follow),
    ("POST", "/connections/{id:uuid}/run", connections.run),
    ("GET", "/connections/{id:uuid}/edit", connection_forms.ask_to_edit),
    ("POST", "/connections/{id:uuid}/edit", connection_forms.edit),
    ("GET", "/connections/{id:uuid}/credentials", connection_forms.ask_for_secrets),
    ("POST", "/connections/{id:uuid}/credentials", connection_forms.save_secrets),
    ("POST", "/connections/{id:uuid}/consent", consent.ask_again),
    ("GET", "/connections/{id:uuid}/schedule", connection_forms.ask_for_schedule),
    ("POST", "/connections/{id:uuid}/schedule", connection_forms.save_schedule),
    ("GET", "/connections/{id:uuid}/delete", connections.ask_to_delete),
    ("POST", "/connections/{id:uuid}/delete", connections.delete),
    ("GET", "/connections/{id:uuid}/failures", connections.list_failures),
    ("POST", "/connections/{id:uuid}/failures", connections.retry_failures),
    ("GET", "/connections/{id:uuid}/jobs", jobs.list_of_connection),
    ("GET", "/jobs", jobs.list_all),
    ("GET", "/jobs/subscribe", jobs.follow_all),
    ("GET", "/jobs/{id:uuid}", jobs.show),
    ("GET", "/jobs/{id:uuid}/subscribe", jobs.follow),
    ("GET", "/jobs/{id:uuid}/cancel", jobs.ask_to_cancel),
    ("POST", "/jobs/{id:uuid}/cancel", jobs.cancel),
    ("GET", "/sources", catalogue.list_all),
    ("GET", "/webhooks", webhooks.list_all),
    ("GET", "/webhooks/new", webhooks.ask_for_new),
    ("POST", "/webhooks/new", webhooks.create),
    ("GET", "/webhooks/messages/{id}", webhooks.show_message),
    ("GET", "/webhooks/{id}", webhooks.show),
    ("POST", "/webhooks/{id}/change", webhooks.change),
    ("POST", "/webhooks/{id}/resend", webhooks.resend),
    ("POST", "/webhooks/{id}/secret", webhooks.show_secret),
    ("GET", "/webhooks/{id}/delete", webhooks.ask_to_delete),
    ("POST", "/webhooks/{id}/delete", webhooks.delete),
    ("GET", "/keys", keys.list_all),
    ("POST", "/keys", keys.create),
    ("GET", "/keys/{id:uuid}/revoke", keys.ask_to_revoke),
    ("POST", "/keys/{id:uuid}/revoke", keys.revoke),
    ("POST", "/keys/{id:uuid}/rotate", keys.rotate),
    ("GET", "/audit", audit_log.list_all),
    ("GET", "/system", system.show),
)
"""What only those see who are signed in."""
ANYONE: Sequence[tuple[str, str, Handler]] = (
    ("GET", "/sign-in", signing_in.ask),
    ("POST", "/sign-in", signing_in.sign_in),
    ("POST", "/theme", signing_in.choose_theme),
)


class ConsoleApp:
    """The console, to be mounted; it also has pages for what goes wrong outside."""

    def __init__(self, parts: Parts, feed: ProgressFeed, *, auth: bool) -> None:
        """Without `auth` whoever comes is signed in already."""
        assets = Assets.read()
        self._console = Console(
            parts=parts,
            feed=feed,
            assets=assets,
            templates=Templates.load(assets),
            asks_for_keys=auth,
        )
        inside = ExceptionMiddleware(
            _OneForm(Router(self._routes(assets), redirect_slashes=False)),
            handlers={HTTPException: self._refused},
        )
        self._app = Guarded(inside)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def is_asked(self, scope: Scope) -> bool:
        path = scope["path"]
        return bool(path == MOUNTED_AT or path.startswith(f"{MOUNTED_AT}/"))

    def answer_unexpected(self, scope: Scope, error: Exception) -> Response:
        """Say on a page what the API would say in JSON."""
        answer = answer_unexpected(scope, error)
        said = json.loads(bytes(answer.body))["detail"]
        # the scope may be that of before the mount, or of behind it
        root = scope.get("root_path", "").removesuffix(MOUNTED_AT)
        base = root + MOUNTED_AT
        page = self._page(base, answer.status_code, said)
        page.headers.update({**HEADERS, "Cache-Control": "no-store"})
        return page

    def _routes(self, assets: Assets) -> list[BaseRoute]:
        console = self._console
        return [
            *(
                Route(path, for_members(console, handler), methods=[method])
                for method, path, handler in MEMBERS
            ),
            *(
                Route(path, for_anyone(console, handler), methods=[method])
                for method, path, handler in ANYONE
            ),
            Route("/static/{mark}/{name}", assets.serve),
        ]

    async def _refused(self, request: Request, error: Exception) -> Response:
        code = error.status_code if isinstance(error, HTTPException) else 500
        said = "There is no such page." if code == NOT_FOUND else NOT_SO
        return self._page(request.scope.get("root_path", ""), code, said)

    def _page(self, base: str, code: int, said: str) -> Response:
        values = {"base": base, "code": code, "message": said, "theme": "auto"}
        html = self._console.templates.render("bare.html", values)
        return HTMLResponse(html, status_code=code)


class _OneForm:
    """Reads `/console` and `/console/jobs/` as what they mean."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            root = scope.get("root_path", "")
            inside = scope["path"].removeprefix(root)
            plain = "/" + inside.strip("/")
            if inside != plain:
                scope = {**scope, "path": root + plain}
        await self._app(scope, receive, send)

"""A visit: one request of a browser, who makes it, and the answers it can get."""

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, quote, unquote
from uuid import UUID

import psycopg
from sqlalchemy.exc import DataError
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from wellhead.api.around.requests import request_id_of
from wellhead.api.console.assets import Assets
from wellhead.api.console.rendering import Templates
from wellhead.domain.audit import ANYONE
from wellhead.domain.console import ConsoleSession
from wellhead.domain.errors import (
    BadRequestError,
    ForbiddenError,
    InvalidInputError,
    RequestError,
    UnauthorizedError,
)
from wellhead.domain.keys import ApiKey, Organization
from wellhead.services import console_sessions as sessions
from wellhead.services.organizations import ensure_organization
from wellhead.services.parts import Parts
from wellhead.services.progress import ProgressFeed

COOKIE = "wellhead_console"
SAID = "wellhead_said"
THEME = "wellhead_theme"
THEMES = ("auto", "light", "dark")
FORM_TOKEN = "form_token"  # noqa: S105  # the name of a field
STALE = (
    "This form belongs to a session that is over. Nothing was changed: open the page "
    "again and repeat what you did."
)
_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 2000
_UNREADABLE = (DataError, psycopg.DataError, UnicodeEncodeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """What all visits share."""

    parts: Parts
    feed: ProgressFeed
    assets: Assets
    templates: Templates
    asks_for_keys: bool


@dataclass(frozen=True, slots=True)
class Form:
    """What a form sent: texts, by the names of its fields."""

    values: Mapping[str, list[str]]

    def text(self, name: str) -> str:
        """Return what was typed in, without blanks around; else an empty text."""
        return self.raw(name).strip()

    def raw(self, name: str) -> str:
        return self.values.get(name, [""])[-1]

    def every(self, name: str) -> list[str]:
        return [one for one in self.values.get(name, []) if one.strip()]

    def has(self, name: str) -> bool:
        return name in self.values


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request, as handlers get it; `parts` act as whoever is signed in."""

    console: Console
    request: Request
    session: ConsoleSession
    parts: Parts
    form: Form
    organization: Organization | None = None
    key: ApiKey | None = None
    organizations: Sequence[Organization] = ()
    """Those that can be switched to, the present one too; none where it is alone."""

    @property
    def base(self) -> str:
        """Where the console is mounted, as the browser sees it."""
        return str(self.request.scope.get("root_path", ""))

    @property
    def tenant(self) -> UUID:
        """The organization that is asked for, which handlers for members have."""
        if self.organization is None:
            raise UnauthorizedError("Sign in with an API key")
        return self.organization.id

    def asked(self, name: str) -> str:
        """Return a parameter of the query; nothing if it is not there."""
        return str(self.request.query_params.get(name, "")).strip()

    def step(self, name: str) -> Any:
        """Return what the path has in this place."""
        return self.request.path_params[name]

    def values(self, more: Mapping[str, Any]) -> dict[str, Any]:
        theme = self.request.cookies.get(THEME, "")
        return {
            "base": self.base,
            "here": self.request.url.path,
            "query": self.request.url.query,
            "form_token": self.session.form_token,
            "organization": self.organization,
            "organizations": self.organizations,
            "key": self.key,
            "asks_for_keys": self.console.asks_for_keys,
            "theme": theme if theme in THEMES else THEMES[0],
            "now": self.parts.clock.now(),
            "said": self._said(),
            **more,
        }

    def page(self, name: str, /, *, status: int = 200, **more: Any) -> Response:
        html = self.console.templates.render(name, self.values(more))
        return HTMLResponse(html, status_code=status)

    def part(self, name: str, /, **more: Any) -> str:
        """Render a part of a page, for a stream."""
        return self.console.templates.render(name, self.values(more))

    def go(self, path: str, said: str = "", *, tone: str = "good") -> Response:
        """Lead the browser to another page of the console, which says what was done."""
        response = RedirectResponse(f"{self.base}{path}", status_code=303)
        if said:
            value = quote(json.dumps([tone, said]))
            response.set_cookie(
                SAID,
                value,
                max_age=60,
                path=self.base or "/",
                httponly=True,
                samesite="lax",
            )
        return response

    def _said(self) -> list[str] | None:
        try:
            found = json.loads(unquote(self.request.cookies.get(SAID, "null")))
        except ValueError:
            return None
        is_ours = isinstance(found, list) and [type(one) for one in found] == [str, str]
        return found if is_ours else None


Handler = Callable[[Visit], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def for_members(console: Console, handler: Handler) -> Endpoint:
    """Let only those in who are signed in; others are led to where they can."""

    async def answer(request: Request) -> Response:
        visit = await _visit(console, request)
        try:
            visit = await _as_member(visit)
        except UnauthorizedError as error:
            return _finish(visit, _to_sign_in(visit, error))
        request.state.organization_id = visit.tenant
        return _finish(visit, await _answer(visit, handler))

    return answer


def for_anyone(console: Console, handler: Handler) -> Endpoint:
    """Let in whoever comes."""

    async def answer(request: Request) -> Response:
        visit = await _visit(console, request)
        return _finish(visit, await _answer(visit, handler))

    return answer


async def still_member(visit: Visit) -> None:
    """Raise UnauthorizedError once the session or its key has ended."""
    if await sessions.is_over(visit.parts, visit.session):
        raise UnauthorizedError("The session is over")
    if visit.console.asks_for_keys:
        await sessions.require_member(visit.parts, visit.session)


async def _visit(console: Console, request: Request) -> Visit:
    session = sessions.find_session(console.parts, request.cookies.get(COOKIE, ""))
    if session is None or await sessions.is_over(console.parts, session):
        session = sessions.open_session(console.parts)
    return Visit(
        console=console,
        request=request,
        session=session,
        parts=console.parts,
        form=Form({}),
    )


async def _as_member(visit: Visit) -> Visit:
    request_id = request_id_of(visit.request.scope)
    if not visit.console.asks_for_keys:
        return replace(
            visit,
            organization=await ensure_organization(visit.console.parts),
            parts=replace(visit.parts, actor=replace(ANYONE, request_id=request_id)),
        )
    key, organization = await sessions.require_member(visit.parts, visit.session)
    actor = sessions.actor_of(key, request_id=request_id)
    is_alone = len(visit.session.memberships) == 1
    others = () if is_alone else await _organizations(visit)
    return replace(
        visit,
        organizations=others,
        key=key,
        organization=organization,
        parts=replace(visit.parts, actor=actor),
    )


async def _organizations(visit: Visit) -> Sequence[Organization]:
    return await sessions.list_organizations(visit.parts, visit.session)


async def _answer(visit: Visit, handler: Handler) -> Response:
    try:
        if visit.request.method == "POST":
            visit = replace(visit, form=await _checked_form(visit))
        return await handler(visit)
    except RequestError as error:
        return trouble(visit, error)
    except _UNREADABLE:
        return trouble(
            visit,
            InvalidInputError(
                "What was sent holds a character or a number that cannot be stored."
            ),
        )


def trouble(visit: Visit, error: RequestError) -> Response:
    """Say on a page what is wrong, and what can be done about it."""
    return visit.page(
        "trouble.html", status=error.status, code=error.status, message=error.message
    )


async def _checked_form(visit: Visit) -> Form:
    """Read a form that one of this session's pages sent; else ForbiddenError."""
    request = visit.request
    if request.headers.get("sec-fetch-site", "same-origin") not in (
        *("same-origin", "none"),
    ):
        raise ForbiddenError("Another site sent this form: nothing was changed.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise BadRequestError("Only forms of the console can be sent here.")
    try:
        body = (await request.body()).decode()
        found = parse_qs(body, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise BadRequestError("The form cannot be read.") from error
    form = Form(found)
    given = form.raw(FORM_TOKEN).encode("utf-8", "surrogatepass")
    if not secrets.compare_digest(given, visit.session.form_token.encode()):
        raise ForbiddenError(STALE)
    return form


def _to_sign_in(visit: Visit, error: UnauthorizedError) -> Response:
    request = visit.request
    if (
        request.method != "GET"
        or request.headers.get("x-part")
        or ("text/event-stream" in request.headers.get("accept", ""))
    ):
        return trouble(visit, error)
    path = request.url.path.removeprefix(visit.base) or "/"
    query = f"?{request.url.query}" if request.url.query else ""
    where = quote(path + query, safe="")
    said = error.message if visit.session.memberships else ""
    return visit.go(f"/sign-in?next={where}", said, tone="bad")


def _finish(visit: Visit, response: Response) -> Response:
    """Let the browser keep its session, and forget what it has been told."""
    path = visit.base or "/"
    is_page = response.headers.get("content-type", "").startswith("text/html")
    if SAID in visit.request.cookies and is_page:
        response.delete_cookie(SAID, path=path)
    if not any(
        name == b"set-cookie" and value.startswith(COOKIE.encode())
        for name, value in response.raw_headers
    ):
        _keep_session(visit, response)
    return response


def _keep_session(visit: Visit, response: Response) -> None:
    sealed = visit.request.cookies.get(COOKIE, "")
    known = sessions.find_session(visit.parts, sealed)
    is_new = known is None or known.id != visit.session.id
    renewed = sessions.renewed(visit.parts, visit.session)
    if is_new or renewed is not None:
        give_session(visit, response, renewed or visit.session)


def give_session(visit: Visit, response: Response, session: ConsoleSession) -> None:
    """Put the sealed session into a cookie that no script can read."""
    life = session.expires_at - visit.parts.clock.now()
    response.set_cookie(
        COOKIE,
        sessions.seal(visit.parts, session),
        max_age=int(life.total_seconds()),
        path=visit.base or "/",
        secure=visit.request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )

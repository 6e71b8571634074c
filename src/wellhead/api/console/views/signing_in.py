"""Signing in with an API key, choosing an organization, signing out."""

from urllib.parse import urlsplit
from uuid import UUID

from starlette.responses import RedirectResponse, Response

from wellhead.api.around.requests import request_id_of
from wellhead.api.console.visits import (
    COOKIE,
    THEME,
    THEMES,
    Visit,
    give_session,
)
from wellhead.domain.errors import ForbiddenError, NotFoundError
from wellhead.services import console_sessions as sessions

_A_YEAR = 365 * 24 * 3600


async def ask(visit: Visit) -> Response:
    if not visit.console.asks_for_keys:
        return visit.go("/")
    return visit.page("sign_in.html", next=visit.asked("next"), error=None)


async def sign_in(visit: Visit) -> Response:
    """Take a key; the session is a new one, which nobody can have planted."""
    where = visit.form.text("next")
    plain = visit.form.text("key")
    if not plain:
        return _refused(visit, where, "Enter an API key.")
    try:
        opened = await sessions.sign_in(
            visit.parts,
            visit.session,
            plain,
            request_id=request_id_of(visit.request.scope),
        )
    except ForbiddenError as error:
        hint = " On the server, `wellhead keys create` makes a new one."
        return _refused(visit, where, f"{error.message}.{hint}")
    response = visit.go(_within(where))
    give_session(visit, response, opened)
    return response


def _refused(visit: Visit, where: str, said: str) -> Response:
    return visit.page("sign_in.html", status=403, next=where, error=said)


def _within(where: str) -> str:
    """Return a path of the console; never a way out of it."""
    parts = urlsplit(where)
    is_path = where.startswith("/") and not where.startswith(("//", "/\\"))
    return where if is_path and not parts.netloc and "\\" not in where else "/"


async def choose(visit: Visit) -> Response:
    """Speak for another organization that a key was shown for."""
    try:
        wanted = UUID(visit.form.text("organization"))
    except ValueError:
        raise NotFoundError("There is no such organization") from None
    chosen = sessions.choose(visit.session, wanted)
    response = visit.go("/")
    give_session(visit, response, chosen)
    return response


async def sign_out(visit: Visit) -> Response:
    await sessions.sign_out(visit.parts, visit.session)
    response = visit.go("/sign-in", "You are signed out.")
    response.set_cookie(COOKIE, "", max_age=0, path=visit.base or "/", httponly=True)
    return response


async def choose_theme(visit: Visit) -> Response:
    """Keep light or dark for this browser; `auto` follows what the system says."""
    theme = visit.form.text("theme")
    where = _within(visit.form.text("next"))
    response = RedirectResponse(f"{visit.base}{where}", status_code=303)
    kept = theme if theme in THEMES else THEMES[0]
    response.set_cookie(
        THEME, kept, max_age=_A_YEAR, path=visit.base or "/", samesite="lax"
    )
    return response

"""For whom a request is made: somebody named in headers, who may see a part only.

Headers, because every route and every client has them, and an agent cannot change them.
"""

from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Header, Request

from wellhead.domain.errors import ForbiddenError, InvalidInputError
from wellhead.domain.principals import Principal, group, user

USER, GROUPS, UNLISTED = "X-As-User", "X-As-Groups", "X-As-Unlisted"
MOST_NAMES = 1_000
LONGEST_NAME = 1_000
SHOW, HIDE = "show", "hide"


def names_somebody(request: Request) -> bool:
    return any(one in request.headers for one in (USER, GROUPS, UNLISTED))


def refuse_principal(request: Request) -> None:
    """Refuse what would be answered as if nobody had been named."""
    if names_somebody(request) and not hasattr(request.state, "principal"):
        raise ForbiddenError(
            f"{USER} and {GROUPS} go with searches only: here the whole organization "
            "would be shown. Leave them out"
        )


async def _taken(
    request: Request,
    _user: Annotated[
        list[str] | None,
        Header(alias=USER, description="Show only what this user may see."),
    ] = None,
    _groups: Annotated[
        list[str] | None,
        Header(
            alias=GROUPS,
            description="And what these groups may see; separated by commas.",
        ),
    ] = None,
    _unlisted: Annotated[
        list[str] | None,
        Header(
            alias=UNLISTED,
            description="`show`: also what the source does not say of who may see it.",
        ),
    ] = None,
) -> Principal | None:
    request.state.principal = _principal(request)
    found: Principal | None = request.state.principal
    return found


TakesPrincipal = Depends(_taken)
"""For routers all of whose routes show a principal only what it may see."""
ForWhom = Annotated[Principal | None, TakesPrincipal]


def _principal(request: Request) -> Principal | None:
    if not names_somebody(request):
        return None
    users = [_named(USER, one) for one in request.headers.getlist(USER)]
    listed = [
        one for line in request.headers.getlist(GROUPS) for one in line.split(",")
    ]
    groups = [_named(GROUPS, one) for one in listed]
    if len(users) > 1:
        raise _refused(USER, "must be one user")
    if len(groups) > MOST_NAMES:
        raise _refused(GROUPS, f"may hold {MOST_NAMES} groups")
    if not users and not groups:
        raise _refused(USER, f"must name a user, or {GROUPS} groups")
    names = dict.fromkeys([*map(user, users), *map(group, groups)])
    return Principal(tuple(names), sees_unlisted=_sees_unlisted(request))


def _named(header: str, given: str) -> str:
    try:
        name = unquote(given.strip(), errors="strict")
    except UnicodeDecodeError as error:
        raise _refused(header, "must be percent-encoded UTF-8") from error
    if not name.strip():
        raise _refused(header, "must not be empty")
    # what is stored for such a name is another one's
    if len(name) > LONGEST_NAME or "\x00" in name or "\\{" in name:
        raise _refused(header, "is no name that a source could tell")
    return name


def _sees_unlisted(request: Request) -> bool:
    given = request.headers.getlist(UNLISTED) or [HIDE]
    if len(given) > 1 or given[0] not in (SHOW, HIDE):
        raise _refused(UNLISTED, f"must be {SHOW} or {HIDE}")
    return given[0] == SHOW


def _refused(header: str, why: str) -> InvalidInputError:
    return InvalidInputError(f"{header} {why}", field=f"header.{header.lower()}")

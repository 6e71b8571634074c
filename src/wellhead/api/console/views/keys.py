"""API keys: those there are, a new one, one in the place of another, revoking."""

from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from wellhead.api.console.forms import Problems, whole_number
from wellhead.api.console.visits import Visit
from wellhead.api.schemas.api_keys import ApiKeyCreate
from wellhead.domain.errors import ConflictError
from wellhead.services import keys
from wellhead.services.keys import NewKey

PAGE = 100
LIVES = ((30, "30 days"), (90, "90 days"), (365, "1 year"), (0, "Until it is revoked"))
_REQUESTS = TypeAdapter(ApiKeyCreate)


async def list_all(visit: Visit) -> Response:
    return await _page(visit, None, {})


async def _page(
    visit: Visit, made: NewKey | None, problems: Problems, *, name: str = ""
) -> Response:
    skip = whole_number(visit.asked("skip"), most=2**31) or 0
    found = await keys.list_keys(visit.parts, visit.tenant, skip=skip, limit=PAGE + 1)
    return visit.page(
        "keys.html",
        status=422 if problems else 200,
        section="keys",
        keys=found[:PAGE],
        has_more=len(found) > PAGE,
        skip=skip,
        page_size=PAGE,
        made=made,
        problems=problems,
        name=name,
        lives=LIVES,
    )


async def create(visit: Visit) -> Response:
    """Make a key and show it, this once."""
    name, life = visit.form.text("name"), visit.form.text("life")
    days = int(life) if life in {str(one) for one, _ in LIVES} else LIVES[1][0]
    try:
        _REQUESTS.validate_python({"name": name})
    except ValidationError:
        said = "Give it a name of 1 to 64 characters, such as where it is used."
        return await _page(visit, None, {"name": said}, name=name)
    made = await keys.create_key(
        visit.parts, visit.tenant, name=name, life_days=days or None
    )
    return await _page(visit, made, {})


async def rotate(visit: Visit) -> Response:
    try:
        made = await keys.rotate_key(visit.parts, visit.tenant, visit.step("id"))
    except ConflictError as error:
        return visit.go("/keys", f"{error.message}.", tone="bad")
    visit.request.app.state.key_ring.forget()
    return await _page(visit, made, {})


async def ask_to_revoke(visit: Visit) -> Response:
    found = await keys.get_key(visit.parts, visit.tenant, visit.step("id"))
    is_own = visit.key is not None and visit.key.id == found.id
    return visit.page("key_revoke.html", section="keys", one=found, is_own=is_own)


async def revoke(visit: Visit) -> Response:
    gone = await keys.revoke_key(visit.parts, visit.tenant, visit.step("id"))
    visit.request.app.state.key_ring.forget()
    return visit.go("/keys", f"“{gone.name}” is refused from now on.")

"""What can be typed in about a connection: configuration, credentials, schedule."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter
from starlette.responses import Response

from wellhead.api.console.cron_words import read_aloud
from wellhead.api.console.forms import (
    CONFIG,
    CREDENTIALS,
    Input,
    Problems,
    inputs,
    problem_with,
    problems_of,
    read,
    typed,
    typed_value,
)
from wellhead.api.console.views import consent
from wellhead.api.console.visits import Visit
from wellhead.api.schemas.collections import CollectionName
from wellhead.api.schemas.source_connections import ConnectionName
from wellhead.domain.connections import AuthMethod, ConnectionDetails
from wellhead.domain.errors import InvalidInputError, RequestError
from wellhead.services import catalogue, collections, connections
from wellhead.services.asking import can_ask
from wellhead.services.authentication import Direct, OAuthBrowser, OAuthToken
from wellhead.services.catalogue import SourceDescription
from wellhead.services.connections import ConnectionChange, NewConnection
from wellhead.services.schedules import Schedule, next_runs, valid_cron

MOST_COLLECTIONS = 200
PRESETS = (
    ("*/15 * * * *", "Every 15 minutes"),
    ("0 * * * *", "Every hour"),
    ("0 */6 * * *", "Every 6 hours"),
    ("0 3 * * *", "Every night"),
    ("0 3 * * 1", "Every Monday"),
)
NEW_COLLECTION = "new"
_NAME = TypeAdapter(ConnectionName)
_COLLECTION_NAME = TypeAdapter(CollectionName)
_DEFAULT_COLLECTION = "My collection"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A new connection as far as its form is filled in."""

    name: str
    collection: str
    """A readable id, or `new`."""
    collection_name: str
    config: list[Input]
    credentials: list[Input]
    token: bool = False
    """Whether an access token is asked for instead of credentials."""
    browser: bool = False
    """Whether its owner gives consent in a browser instead of either."""


async def ask_for_new(visit: Visit) -> Response:
    source = catalogue.get_source(visit.parts, visit.step("short_name"))
    draft = Draft(
        name="",
        collection=visit.asked("collection"),
        collection_name=_DEFAULT_COLLECTION,
        config=inputs(CONFIG, source.config_fields, {}),
        credentials=inputs(CREDENTIALS, source.credential_fields, {}),
        **_ways(visit, source),
    )
    return await _new_page(visit, source, draft, {})


def _ways(visit: Visit, source: SourceDescription) -> dict[str, bool]:
    """Tell how a connection of this source is authenticated, if not by credentials."""
    if AuthMethod.DIRECT in source.auth_methods:
        return {}
    by_browser = can_ask(visit.parts, source.short_name)
    return {"browser": by_browser, "token": not by_browser}


async def _new_page(
    visit: Visit,
    source: SourceDescription,
    draft: Draft,
    problems: Problems,
    *,
    status: int = 200,
) -> Response:
    known = await collections.list_collections(
        visit.parts, visit.tenant, skip=0, limit=MOST_COLLECTIONS, search=None
    )
    return visit.page(
        "connection_new.html",
        status=status,
        section="sources",
        source=source,
        draft=draft,
        problems=problems,
        collections=known,
    )


async def create(visit: Visit) -> Response:
    """Make the connection, and its collection if it is to be new, then show the job."""
    source = catalogue.get_source(visit.parts, visit.step("short_name"))
    form = visit.form
    draft = Draft(
        name=form.text("name"),
        collection=form.text("collection"),
        collection_name=form.text("collection_name"),
        config=typed(CONFIG, source.config_fields, form),
        credentials=typed(CREDENTIALS, source.credential_fields, form),
        **_ways(visit, source),
    )
    problems: Problems = {}
    if draft.name and (wrong := problem_with(_NAME, draft.name)):
        problems["name"] = wrong
    if problems:
        return await _new_page(visit, source, draft, problems, status=422)
    try:
        made = await _create(visit, source, draft)
    except RequestError as error:
        found = problems_of(error)
        return await _new_page(visit, source, draft, found, status=error.status)
    where = f"/connections/{made.connection.id}"
    if made.consent is not None:
        return visit.go(where, "One step is left: its owner's consent.")
    if made.last_job is not None:
        where = f"/jobs/{made.last_job.id}"
    return visit.go(where, f"“{made.connection.name}” is connected and syncing.")


async def _create(
    visit: Visit, source: SourceDescription, draft: Draft
) -> ConnectionDetails:
    form = visit.form
    authentication: Direct | OAuthToken | OAuthBrowser = Direct(
        read(CREDENTIALS, source.credential_fields, form)
    )
    if draft.token:
        authentication = OAuthToken(form.text("access_token"))
    elif draft.browser:
        parts, back = consent.asking(visit)
        visit, authentication = replace(visit, parts=parts), OAuthBrowser(None, back)
    new = NewConnection(
        short_name=source.short_name,
        readable_collection_id=draft.collection,
        name=draft.name or None,
        config=read(CONFIG, source.config_fields, form),
        authentication=authentication,
    )
    if draft.collection and draft.collection != NEW_COLLECTION:
        return await connections.create_connection(visit.parts, visit.tenant, new)
    return await _create_with_collection(visit, draft, new)


async def _create_with_collection(
    visit: Visit, draft: Draft, new: NewConnection
) -> ConnectionDetails:
    """Make both, or neither: a collection that nothing came of is taken back."""
    name = draft.collection_name or _DEFAULT_COLLECTION
    wrong = problem_with(_COLLECTION_NAME, name)
    if wrong is not None:
        raise InvalidInputError(wrong, field="body.collection_name")
    made = await collections.create_collection(
        visit.parts, visit.tenant, name=name, readable_id=None, sync_config=None
    )
    try:
        return await connections.create_connection(
            visit.parts,
            visit.tenant,
            replace(new, readable_collection_id=made.readable_id),
        )
    except RequestError:
        await collections.delete_collection(visit.parts, visit.tenant, made.readable_id)
        raise


async def ask_to_edit(visit: Visit) -> Response:
    details, source = await _found(visit)
    fields = inputs(CONFIG, source.config_fields, details.connection.config)
    one = details.connection
    return _edit_page(visit, details, source, (one.name, one.description or ""), fields)


def _edit_page(
    visit: Visit,
    details: ConnectionDetails,
    source: SourceDescription,
    named: tuple[str, str],
    config: list[Input],
    problems: Mapping[str, str] | None = None,
) -> Response:
    return visit.page(
        "connection_edit.html",
        status=422 if problems else 200,
        section="connections",
        connection=details.connection,
        source=source,
        name=named[0],
        description=named[1],
        config=config,
        problems=problems or {},
    )


async def _found(visit: Visit) -> tuple[ConnectionDetails, SourceDescription]:
    details = await connections.get_connection(
        visit.parts, visit.tenant, visit.step("id")
    )
    return details, catalogue.get_source(visit.parts, details.connection.short_name)


async def edit(visit: Visit) -> Response:
    """Write name, description and configuration; only what differs is noted."""
    details, source = await _found(visit)
    one, form = details.connection, visit.form
    named = form.text("name"), form.text("description")
    config = read(CONFIG, source.config_fields, form)
    fields = typed(CONFIG, source.config_fields, form)
    if wrong := problem_with(_NAME, named[0]):
        return _edit_page(visit, details, source, named, fields, {"name": wrong})
    change: ConnectionChange = {"name": named[0], "description": named[1] or None}
    if config != _complete(source, one.config):
        change["config"] = config
    try:
        await connections.change_connection(visit.parts, visit.tenant, one.id, change)
    except RequestError as error:
        problems = problems_of(error)
        return _edit_page(visit, details, source, named, fields, problems)
    said = "Saved."
    if "config" in change:
        said = "Saved. The next job reads everything once, as the configuration is new."
    return visit.go(f"/connections/{one.id}", said)


def _complete(source: SourceDescription, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored config as the untouched form would send it."""
    found: dict[str, Any] = {}
    for one in inputs(CONFIG, source.config_fields, config):
        if one.kind == "switch":
            found[one.field.name] = one.is_on
        elif one.value:
            is_list = one.kind == "lines"
            lines, plain = one.value.split("\n"), typed_value(one.field, one.value)
            found[one.field.name] = lines if is_list else plain
    return found


async def ask_for_secrets(visit: Visit) -> Response:
    return await _secrets_page(visit, {})


async def _secrets_page(visit: Visit, problems: Problems) -> Response:
    details, source = await _found(visit)
    return visit.page(
        "connection_credentials.html",
        status=422 if problems else 200,
        section="connections",
        connection=details.connection,
        source=source,
        can_change=details.connection.auth_method is AuthMethod.DIRECT
        and bool(source.credential_fields),
        credentials=inputs(CREDENTIALS, source.credential_fields, {}),
        problems=problems,
    )


async def save_secrets(visit: Visit) -> Response:
    details, source = await _found(visit)
    given = read(CREDENTIALS, source.credential_fields, visit.form)
    try:
        await connections.change_connection(
            visit.parts, visit.tenant, details.connection.id, {"credentials": given}
        )
    except RequestError as error:
        return await _secrets_page(visit, problems_of(error))
    return visit.go(
        f"/connections/{details.connection.id}",
        "The new credentials are stored, encrypted. Run a sync to try them.",
    )


async def ask_for_schedule(visit: Visit) -> Response:
    details, source = await _found(visit)
    cron = visit.asked("cron") or details.connection.schedule_cron or ""
    return _schedule_page(visit, details, source, cron, {})


def _schedule_page(
    visit: Visit,
    details: ConnectionDetails,
    source: SourceDescription,
    cron: str,
    problems: Problems,
) -> Response:
    now = visit.parts.clock.now()
    reading, moments = None, []
    if cron and not problems:
        try:
            plain = valid_cron(cron, after=now)
            reading, moments = read_aloud(plain), next_runs(plain, after=now)
        except InvalidInputError as error:
            problems = {"cron": error.message}
    values: dict[str, Any] = {
        "connection": details.connection,
        "source": source,
        "cron": cron,
        "reading": reading,
        "moments": moments,
        "problems": problems,
        "presets": PRESETS,
    }
    if visit.request.headers.get("x-part"):
        return visit.page("parts/schedule.html", **values)
    status = 422 if visit.request.method == "POST" else 200
    return visit.page("schedule.html", status=status, section="connections", **values)


async def save_schedule(visit: Visit) -> Response:
    """Take a cron, or none: then it runs only when somebody starts it."""
    details, source = await _found(visit)
    cron = visit.form.text("cron")
    is_off = visit.form.text("how") == "never"
    if not is_off and not cron:
        problems = {"cron": "Write five fields, or choose “Only when I start it”."}
        return _schedule_page(visit, details, source, cron, problems)
    try:
        await connections.change_connection(
            visit.parts,
            visit.tenant,
            details.connection.id,
            {"schedule": Schedule(None if is_off else cron)},
        )
    except RequestError as error:
        return _schedule_page(visit, details, source, cron, {"cron": error.message})
    said = (
        "It now runs only when somebody starts it."
        if is_off
        else (f"Saved: {read_aloud(' '.join(cron.split()))}")
    )
    return visit.go(f"/connections/{details.connection.id}", said)

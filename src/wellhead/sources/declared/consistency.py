"""What has to agree between the parts of a definition, beyond the shape of each."""

from collections.abc import Iterator
from typing import Any

from wellhead.sources.base import Config
from wellhead.sources.declared.definition import (
    ACCESS_TOKEN,
    Definition,
    Listing,
    Request,
    Stream,
)
from wellhead.sources.declared.templates import Place, path, template

Where = tuple[str | int, ...]
Finding = tuple[Where, str]

_OF_RECORDS = {"record", "config", "parent"}
_FILLED_IN = "*"
_OWN_HEADERS = frozenset(
    {
        *("authorization", "connection", "content-length", "content-type", "cookie"),
        *("host", "proxy-authorization", "transfer-encoding"),
    }
)
_ID = Place("record", ("id",))
"""In the request of one record what is asked for."""


def inconsistencies(definition: Definition) -> Iterator[Finding]:
    """Yield where something does not fit, and why."""
    yield from _address(definition)
    yield from _auth(definition)
    yield from _names(definition)
    yield from _fields(definition)
    request = _Requests(definition)
    yield from request.wrong(("check",), definition.check, {"config"})
    types = [one.type for one in definition.streams.values()]
    for name, stream in definition.streams.items():
        where: Where = ("streams", name)
        if types.count(stream.type) > 1:
            yield (*where, "type"), f"two streams have the type {stream.type}"
        yield from _family(definition, where, stream)
        yield from request.of_stream(where, stream)
        yield from _templates(definition, where, stream)
        yield from _paths(definition, where, stream)
        yield from _deletes(where, stream)


def _address(definition: Definition) -> Iterator[Finding]:
    where: Where = ("base_url",)
    parts = template(definition.base_url).parts
    places = tuple(one for one in parts if isinstance(one, Place))
    yield from _roots(definition, where, places, {"config"})
    shape = "".join(_FILLED_IN if isinstance(one, Place) else one for one in parts)
    scheme, _, rest = shape.partition("://")
    host, _, below = rest.partition("/")
    if scheme not in ("https", "http") or not host or set(host) & set(" \\?#"):
        yield where, "it must begin with https:// and name a host"
    elif "@" in host or "?" in below or "#" in below:
        yield where, "it holds a user, a query or a fragment"
    elif _FILLED_IN in below or _FILLED_IN in ".".join(host.split(".")[-2:]):
        # else whoever fills it in could turn it to a host of their own
        yield where, "places may stand only before a domain, as in {config.x}.acme.com"


def _auth(definition: Definition) -> Iterator[Finding]:
    auth = definition.auth
    if auth is None:
        return
    if auth.token not in definition.credentials:
        yield ("auth", "token"), f"there is no credential '{auth.token}'"
    if any(one.is_oauth for one in auth.methods) and auth.token != ACCESS_TOKEN:
        yield ("auth", "methods"), "OAuth needs 'token: access_token'"
    if auth.user is not None:
        places = template(auth.user).places
        allowed = {"config", "credentials"}
        yield from _roots(definition, ("auth", "user"), places, allowed)


def _names(definition: Definition) -> Iterator[Finding]:
    for part in ("config", "credentials"):
        for name in getattr(definition, part):
            if hasattr(Config, name):
                yield (part, name), f"'{name}' means something else to the program"
    for name in definition.headers:
        if name.lower() in _OWN_HEADERS:
            yield ("headers", name), "the program sets it; a token belongs in 'auth'"


def _fields(definition: Definition) -> Iterator[Finding]:
    kinds = {"string": str, "integer": int, "boolean": bool, "list": list}
    for name, entry in definition.config.items():
        default, kind = entry.default, kinds[entry.type]
        if default is not None and type(default) is not kind:
            yield ("config", name, "default"), f"it is no {entry.type}"
        if entry.choices and entry.type != "string":
            yield ("config", name, "choices"), "only a string has choices"
        if entry.choices and default is not None and default not in entry.choices:
            yield ("config", name, "default"), "it is none of the choices"


def _family(definition: Definition, where: Where, stream: Stream) -> Iterator[Finding]:
    if stream.for_each is None:
        return
    seen: list[str | int] = [where[-1]]
    above: str | None = stream.for_each
    while above is not None:
        if above not in definition.streams:
            yield (*where, "for_each"), f"there is no stream '{above}'"
            return
        if above in seen:
            yield (*where, "for_each"), "it goes round in a circle"
            return
        if definition.streams[above].changes is not None:
            yield (*where, "for_each"), f"'{above}' is not listed whole: it has changes"
        seen.append(above)
        above = definition.streams[above].for_each
    for name in ("changes", "removed", "one"):
        if getattr(stream, name) is not None:
            yield (*where, name), "only a stream without 'for_each' can have it"


def _deletes(where: Where, stream: Stream) -> Iterator[Finding]:
    changes = stream.changes
    if stream.removed is not None and changes is None:
        yield (*where, "removed"), "it needs 'changes': a whole listing tells by itself"
    if stream.parts and stream.updated is None:
        yield (*where, "parts"), "they need 'updated', which tells when to ask anew"
    if changes is None:
        return
    if changes.fetch and stream.one is None:
        yield (*where, "changes", "fetch"), "it needs 'one'"
    tells = changes.fetch or stream.gone or stream.removed
    if changes.tells_deletes and not tells:
        yield (
            (*where, "changes", "tells_deletes"),
            "it needs 'gone', 'removed' or 'changes.fetch'",
        )


def _templates(
    definition: Definition, where: Where, stream: Stream
) -> Iterator[Finding]:
    allowed = _OF_RECORDS if stream.for_each else _OF_RECORDS - {"parent"}
    texts = {"id": stream.id, "name": stream.name, "text": stream.text}
    if stream.url is not None:
        texts["url"] = stream.url
    if stream.for_each is None and _mentions(stream.id, "config"):
        yield (*where, "id"), "an id must not depend on the config"
    for name, text in texts.items():
        places = template(text).places
        yield from _roots(definition, (*where, name), places, allowed)
    if not template(stream.id).places:
        yield (*where, "id"), "it has no place: all records would be one"
    for name, part in stream.parts.items():
        places = template(part.text).places
        yield from _roots(
            definition, (*where, "parts", name, "text"), places, _OF_RECORDS
        )


def _paths(definition: Definition, where: Where, stream: Stream) -> Iterator[Finding]:
    paths: dict[Where, str | None] = {
        ("created",): stream.created,
        ("updated",): stream.updated,
        **{("raw", place): one for place, one in enumerate(stream.raw)},
    }
    for key, one in paths.items():
        if one is not None and path(one).root != "record":
            yield (*where, *key), f"'{one}' is not a part of the record"
    for place, condition in enumerate(stream.gone):
        if condition.if_config and condition.if_config not in definition.config:
            yield (*where, "gone", place), f"no config field '{condition.if_config}'"
    if not stream.whole and not stream.gone:
        yield (*where, "whole"), "without 'gone' nothing would ever be deleted"


def _mentions(text: str, root: str) -> bool:
    return any(one.root == root for one in template(text).places)


def _roots(
    definition: Definition, where: Where, places: tuple[Place, ...], allowed: set[str]
) -> Iterator[Finding]:
    for place in places:
        if place.root not in allowed:
            yield where, _misplaced(place, allowed)
        elif place.root in ("config", "credentials"):
            known = getattr(definition, place.root)
            if not place.names or place.names[0] not in known:
                named = ".".join((place.root, *place.names))
                yield where, f"there is no {{{named}}}; known: {', '.join(known)}"


def _misplaced(place: Place, allowed: set[str]) -> str:
    if place.root == "credentials":
        return "credentials belong in 'auth' only"
    roots = ", ".join(sorted(allowed))
    return f"{{{'.'.join((place.root, *place.names))}}} means nothing here; {roots} do"


class _Requests:
    """What may be filled into the requests of a definition."""

    def __init__(self, definition: Definition) -> None:
        self._definition = definition

    def of_stream(self, where: Where, stream: Stream) -> Iterator[Finding]:
        roots = {"config"} | ({"parent"} if stream.for_each else set())
        parts = {("parts", name): one for name, one in stream.parts.items()}
        asked: dict[Where, tuple[Request | None, set[str]]] = {
            ("list",): (stream.listing, roots),
            ("ids",): (stream.ids, roots),
            ("changes",): (stream.changes, {*roots, "since"}),
            ("removed",): (stream.removed, {*roots, "since"}),
            ("one",): (stream.one, {"config", "id"}),
            **{key: (one, {*_OF_RECORDS}) for key, one in parts.items()},
        }
        for key, (request, allowed) in asked.items():
            if request is not None:
                yield from self.wrong((*where, *key), request, allowed)

    def wrong(
        self, where: Where, request: Request, allowed: set[str]
    ) -> Iterator[Finding]:
        texts: list[tuple[Where, str]] = [((*where, "path"), request.path)]
        for key in ("query", "body", "variables"):
            texts += _texts((*where, key), getattr(request, key))
        for at, text in texts:
            try:
                places = template(text).places
            except ValueError as error:
                yield at, str(error)
                continue
            if "id" in allowed:
                places = tuple(one for one in places if one != _ID)
            yield from _roots(self._definition, at, places, allowed)
        if isinstance(request, Listing):
            yield from _paging(where, request)


def _paging(where: Where, request: Listing) -> Iterator[Finding]:
    pages = request.pages
    if (pages.by == "graphql") != (request.graphql is not None and pages.by != "none"):
        yield (*where, "pages"), "'graphql' goes with 'pages: {by: graphql}'"
    if pages.by == "graphql" and not request.records.endswith(".nodes"):
        yield (*where, "records"), "with 'graphql' it ends with '.nodes'"


def _texts(where: Where, value: Any) -> list[tuple[Where, str]]:
    """Return every text in a body, and where it is."""
    if isinstance(value, str):
        return [(where, value)]
    steps: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        steps = list(value.items())
    elif isinstance(value, list):
        steps = list(enumerate(value))
    return [found for key, one in steps for found in _texts((*where, key), one)]

"""What a YAML file may say of a source: models that refuse what they do not know."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from wellhead.domain.connections import AuthMethod
from wellhead.sources.declared import templates

SHORT_NAME = r"[a-z][a-z0-9_]{0,49}"
_FIELD_NAME = r"^[a-z][a-z0-9_]{0,49}$"
LONGEST_TEXT = 4_000
ACCESS_TOKEN = "access_token"  # noqa: S105  # the name of a field
"""The credential that is renewed where OAuth gave it."""


def _is_template(text: str) -> str:
    templates.template(text)
    return text


def _is_path(text: str) -> str:
    templates.path(text)
    return text


def _is_scalar(value: Any) -> Any:
    if isinstance(value, dict | list):
        raise ValueError("a single value is expected here")  # noqa: TRY004  # pydantic tells it
    return value


def _begins_with_slash(text: str) -> str:
    if not text.startswith("/") or text.startswith("//"):
        raise ValueError("a path below base_url begins with one slash")
    return _is_template(text)


Words = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
Text = Annotated[Words, AfterValidator(_is_template)]
Path = Annotated[str, AfterValidator(_is_path)]
UrlPath = Annotated[str, AfterValidator(_begins_with_slash)]
Scalar = Annotated[Any, AfterValidator(_is_scalar)]
Name = Annotated[str, Field(pattern=_FIELD_NAME)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,100}$")]
Visible = Annotated[str, Field(pattern=r"^[\x20-\x7e]*$", max_length=1_000)]


class Piece(BaseModel):
    """Base of all parts of a definition."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ConfigEntry(Piece):
    """A field that the owner of a connection fills in."""

    title: Words
    description: Words
    type: Literal["string", "integer", "boolean", "list"] = "string"
    required: bool = False
    default: Any = None
    choices: list[str] | None = None


class CredentialEntry(Piece):
    """The same, stored encrypted; a secret unless it says otherwise."""

    title: Words
    description: Words
    secret: bool = True
    required: bool = True


class Auth(Piece):
    """Where the token goes: the only place for credentials."""

    kind: Literal["bearer", "basic", "header", "query"]
    token: Name
    """Which of the credentials; `access_token` is renewed where OAuth gave it."""
    user: Text | None = None
    """With `basic`: without it the token is the user's name."""
    name: HeaderName | None = None
    """Of the header or parameter."""
    prefix: Visible = ""
    plain_if: str | None = None
    """With `bearer`: tokens that begin so are sent without that word."""
    methods: list[AuthMethod] = [AuthMethod.DIRECT]

    @model_validator(mode="after")
    def _is_whole(self) -> "Auth":
        if self.kind in ("header", "query") and not self.name:
            raise ValueError(f"'{self.kind}' needs 'name'")
        return self


class Limit(Piece):
    """How many requests the vendor allows."""

    requests: int = Field(ge=1)
    seconds: float = Field(gt=0)
    level: Literal["org", "connection"] = "org"


class Busy(Piece):
    """Words of a 400 or 403 that mean "too fast"."""

    words: Words
    seconds: float = Field(gt=0, default=60)


class Request(Piece):
    """One request below the base URL."""

    path: UrlPath
    method: Literal["GET", "POST"] = "GET"
    query: dict[str, Scalar] = {}
    body: dict[str, Any] | None = None
    """Sent as JSON by POST."""
    graphql: str | None = None
    variables: dict[str, Any] = {}

    @model_validator(mode="after")
    def _is_one_kind(self) -> "Request":
        if self.body is not None and (self.graphql or self.method == "GET"):
            raise ValueError("'body' needs 'method: POST', and no 'graphql'")
        if self.variables and not self.graphql:
            raise ValueError("'variables' belong to 'graphql'")
        return self


_NEEDED = {
    "cursor": ("send", "next"),
    "next_url": ("next",),
    "page": ("send",),
    "offset": ("send",),
    "last_id": ("send", "more"),
}


PagesBy = Literal[
    "none",
    "cursor",
    "next_url",
    "link_header",
    "page",
    "offset",
    "last_id",
    "graphql",
]


class Pages(Piece):
    """How the next page is asked for."""

    by: PagesBy = "none"
    send: str | None = None
    """Which parameter, field of the body, or variable tells where to go on."""
    next: Path | None = None
    """Where an answer holds what is sent next."""
    more: Path | None = None
    """A flag in the answer: false means that this is the last page."""
    done: Path | None = None
    """The other way round: true means that."""

    @model_validator(mode="after")
    def _is_whole(self) -> "Pages":
        for name in _NEEDED.get(self.by, ()):
            if getattr(self, name) is None:
                raise ValueError(f"pages by '{self.by}' need '{name}'")
        return self


class Listing(Request):
    """Requests that give a list, page by page."""

    records: Path = ""
    """Where an answer holds the list; "" if it is the list."""
    pages: Pages = Pages()


class Condition(Piece):
    """Holds of a record by the value of one field."""

    field: Path
    equals: Scalar = None
    """Without it: the field has any value but false."""
    if_config: Name | None = None
    """Only where this config field says yes."""


class Changes(Listing):
    """What changed since `{since}`; asked for instead of everything."""

    format: Literal["iso", "unix", "unix_ms"] = "iso"
    overlap: int = Field(default=120, ge=0)
    """So many seconds are read again, because lists lag behind."""
    kept_days: int | None = Field(default=None, ge=1)
    """An older cursor is useless: everything is read again."""
    only: Condition | None = None
    """Entries that are meant; the others are passed over."""
    record: Path = ""
    """Where an entry holds the record."""
    fetch: bool = False
    """Entries only tell that something changed: ask for each record by `one`."""
    tells_deletes: bool = False
    """Nothing else is needed to learn what is gone."""


class Removed(Listing):
    """What is gone, where the vendor lists that."""

    id: Text = "{id}"
    at: Path | None = None
    """When: what went before the cursor is passed over."""


class One(Request):
    """One record by its `{id}`; a 404 says that it is gone."""

    record: Path = ""


class Part(Listing):
    """More of an entity's text, asked for only where something changed."""

    title: Words | None = None
    text: Text


class Stream(Piece):
    """Records of one kind, each of them an entity."""

    type: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9]{0,99}$")]
    listing: Listing = Field(alias="list")
    for_each: Name | None = None
    """Asked for once for each record of that stream, which is `{parent}`."""
    id: Text = "{id}"
    name: Text
    text: Text
    url: Text | None = None
    created: Path | None = None
    updated: Path | None = None
    """Equal means unchanged."""
    raw: list[Path] = []
    gone: list[Condition] = []
    """A record of which one holds counts as deleted."""
    whole: bool = True
    """False: the list leaves something out, and only `gone` tells what is deleted."""
    parts: dict[Name, Part] = {}
    changes: Changes | None = None
    removed: Removed | None = None
    one: One | None = None
    ids: Listing | None = None
    """A cheaper listing that is enough to learn ids."""


class Defaults(Piece):
    """What holds for all lists that do not say otherwise."""

    path: UrlPath | None = None
    records: Path | None = None
    pages: Pages | None = None


_DERIVED = ("ids", "changes", "removed")


def _filled_in(stream: Any, defaults: dict[str, Any]) -> Any:
    """Give a list the defaults, and to the other requests what the list says."""
    listing = stream.get("list") if isinstance(stream, dict) else None
    if not isinstance(listing, dict):
        return stream
    whole = {**defaults, **listing}
    # another path has other parameters, but mostly answers in the same way
    way = {key: whole[key] for key in ("records", "pages") if key in whole}
    derived = {
        name: {**(way if "path" in stream[name] else whole), **stream[name]}
        for name in _DERIVED
        if isinstance(stream.get(name), dict)
    }
    return {**stream, "list": whole, **derived}


class Definition(Piece):
    """A whole file."""

    wellhead: Literal[1]
    """The version of this format."""
    short_name: Annotated[str, Field(pattern=f"^{SHORT_NAME}$")]
    name: Words
    description: Words
    labels: list[str] = []
    base_url: Text
    headers: dict[HeaderName, Visible] = {}
    config: dict[Name, ConfigEntry] = {}
    credentials: dict[Name, CredentialEntry] = {}
    auth: Auth | None = None
    rate_limit: Limit | None = None
    busy: Busy | None = None
    defaults: Defaults = Field(default_factory=lambda: Defaults())
    check: Request
    streams: Annotated[dict[Name, Stream], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        """Fill in what need not be repeated, before anything is judged."""
        streams = given.get("streams") if isinstance(given, dict) else None
        if not isinstance(streams, dict):
            return given
        found = given.get("defaults")
        defaults = found if isinstance(found, dict) else {}
        filled = {name: _filled_in(one, defaults) for name, one in streams.items()}
        return {**given, "streams": filled}

    @property
    def is_incremental(self) -> bool:
        return any(one.changes for one in self.streams.values())

    def children(self, name: str | None) -> dict[str, Stream]:
        """Return the streams that are read for each record of this one."""
        return {key: one for key, one in self.streams.items() if one.for_each == name}

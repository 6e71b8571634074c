"""From what a definition says of requests to what the HTTP kit sends."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from wellhead.domain.errors import ConfigError, RetryableError
from wellhead.domain.oauth_provider import is_host_label
from wellhead.sources.declared.definition import (
    Auth,
    Busy,
    Changes,
    Definition,
    Listing,
    Pages,
    Request,
)
from wellhead.sources.declared.templates import Place, Values, template
from wellhead.sources.http import (
    Answer,
    Api,
    ApiClient,
    Call,
    Page,
    Paging,
    RefusedError,
    by_cursor,
    by_graphql,
    by_link_header,
    by_next_url,
    by_offset,
    by_page,
    field,
    pages,
)
from wellhead.sources.http.api import Auth as Prove
from wellhead.sources.http.api import basic, bearer, header, parameter
from wellhead.sources.http.exchange import masked, secrets_in
from wellhead.sources.http.judge import reason_of


def api_of(definition: Definition, values: Values) -> Api:
    """Return the vendor's API; raises ConfigError if the config names no host."""
    return Api(
        name=definition.name,
        base_url=_address(definition.base_url, values),
        headers=definition.headers,
        auth=_auth(definition.auth, values),
        seconds_if_busy=_busy(definition.busy),
        leaves_home=False,
    )


def _address(text: str, values: Values) -> str:
    parts = []
    for one in template(text).parts:
        if not isinstance(one, Place):
            parts.append(one)
            continue
        label = one.write(values)
        if not is_host_label(label):
            raise ConfigError(
                f"config.{'.'.join(one.names)} must be one part of a host name, such"
                " as 'acme': letters, digits and hyphens"
            )
        parts.append(label)
    return "".join(parts)


def _auth(auth: Auth | None, values: Values) -> Prove:
    if auth is None:
        return lambda _, __: None
    if auth.kind == "basic":
        user = None if auth.user is None else template(auth.user).fill(values)
        return basic(user or "", token_is_user=user is None)
    if auth.kind == "header":
        return header(auth.name or "", auth.prefix)
    if auth.kind == "query":
        return parameter(auth.name or "")
    plain, bare = auth.plain_if, header("authorization")
    if plain is None:
        return bearer
    return lambda request, token: (bare if token.startswith(plain) else bearer)(
        request, token
    )


def _busy(busy: Busy | None) -> Callable[[Answer], float | None]:
    if busy is None:
        return lambda _: None
    words = busy.words.lower().encode()
    return lambda answer: busy.seconds if words in answer.body.lower() else None


def call_of(request: Request, values: Values) -> Call:
    """Fill a request in; raises RefusedError if a value cannot stand in its path."""
    try:
        url = template(request.path).fill_path(values)
    except ValueError as error:
        raise RefusedError(f"{request.path}: {error}", status=400) from error
    query = {name: _filled(one, values) for name, one in request.query.items()}
    given = {name: one for name, one in query.items() if one not in (None, "")}
    if request.graphql is not None:
        variables = _filled(request.variables, values)
        asked = {"query": request.graphql, "variables": variables}
        return Call(url=url, query=given, method="POST", body=asked)
    body = None if request.body is None else _filled(request.body, values)
    return Call(url=url, query=given, method=request.method, body=body)


def _filled(value: Any, values: Values) -> Any:
    if isinstance(value, str):
        return template(value).fill(values)
    if isinstance(value, Mapping):
        return {name: _filled(one, values) for name, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, values) for one in value]
    return value


def listing(
    client: ApiClient, asked: Listing, values: Values, *, start: str | None = None
) -> pages:
    """Return the pages of a listing."""
    return pages(
        client,
        call_of(asked, values),
        _paging(asked),
        records=asked.records,
        start=start,
    )


def _paging(asked: Listing) -> Paging:
    by, found = asked.pages, _kind(asked)
    if asked.body is not None and by.send:
        found = replace(found, ask=_in_body(by))
    if by.by == "last_id" or (by.more is None and by.done is None):
        return found
    goes_on, following = _goes_on(by), found.following
    return replace(
        found, following=lambda page: following(page) if goes_on(page.body) else None
    )


def _kind(asked: Listing) -> Paging:
    by = asked.pages
    send, where = by.send or "", by.next or ""
    kinds: dict[str, Callable[[], Paging]] = {
        "none": lambda: Paging(ask=lambda call, _: call, following=lambda _: None),
        "cursor": lambda: by_cursor(send, where),
        "next_url": lambda: by_next_url(where),
        "link_header": by_link_header,
        "page": lambda: by_page(send),
        "offset": lambda: by_offset(send),
        "last_id": lambda: _by_last_id(by),
        "graphql": lambda: by_graphql(
            asked.records.removesuffix(".nodes"), variable=send or "after"
        ),
    }
    return kinds[by.by]()


def _goes_on(by: Pages) -> Callable[[Any], bool]:
    more, done = field(by.more or ""), field(by.done or "")

    def goes_on(body: Any) -> bool:
        is_more = by.more is None or bool(more(body))
        return is_more and not (by.done is not None and done(body))

    return goes_on


def _by_last_id(by: Pages) -> Paging:
    """Send the id of the last record, as long as the answer says that there is more."""
    goes_on, send = _goes_on(by), by.send or ""

    def following(page: Page) -> str | None:
        last = page.records[-1] if page.records else None
        found = last.get("id") if isinstance(last, dict) else None
        return str(found) if goes_on(page.body) and found is not None else None

    return Paging(
        ask=lambda call, token: call.with_query(**{send: token}), following=following
    )


def _in_body(by: Pages) -> Callable[[Call, str | None], Call]:
    def ask(call: Call, token: str | None) -> Call:
        more = {} if token is None else {by.send or "": token}
        return replace(call, body={**call.body, **more})

    return ask


class DeclaredClient(ApiClient):
    """Takes the errors that GraphQL answers with status 200 for what they are."""

    async def json(self, call: Call) -> tuple[Answer, Any]:
        answer, body = await super().json(call)
        is_graphql = isinstance(call.body, dict) and "query" in call.body
        if is_graphql and isinstance(body, dict) and body.get("errors"):
            said = masked(reason_of(answer), secrets_in(await self.token()))
            raise RetryableError(
                f"{self.api.name} answered {answer.request} with errors{said}"
            )
        return answer, body


def since_of(changes: Changes, mark: datetime) -> str:
    """Write a moment as the vendor wants it, a little earlier."""
    at = mark - timedelta(seconds=changes.overlap)
    if changes.format == "iso":
        return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    factor = 1 if changes.format == "unix" else 1000
    return str(max(0, int(at.timestamp())) * factor)

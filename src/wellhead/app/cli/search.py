"""`wellhead search`: a question to a collection."""

from collections.abc import Sequence
from json import loads
from typing import Annotated, Any

import typer

from wellhead.app.cli.options import (
    AsGroups,
    AsJson,
    AsUser,
    Collection,
    DataDir,
    Url,
    principal_headers,
)
from wellhead.app.cli.output import plain, show
from wellhead.domain.search import Strategy

EXCERPT_CHARACTERS = 280
FILTER_HELP = (
    "A condition, such as 'updated_at greater_than 2026-01-01' or 'name in a.md,b.md'. "
    "Repeated, all must hold. Or the whole filter, as JSON."
)


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Example: wellhead search 'how to renew' --collection notes")(
        search
    )


def search(
    query: str,
    collection: Collection,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 10,
    strategy: Annotated[
        Strategy, typer.Option(help="By meaning, by words, or both.")
    ] = Strategy.HYBRID,
    conditions: Annotated[
        list[str] | None, typer.Option("--filter", "-f", help=FILTER_HELP)
    ] = None,
    offset: Annotated[int, typer.Option(min=0, help="How many to leave out.")] = 0,
    by_entity: Annotated[
        bool,
        typer.Option("--by-entity", help="Only the best passage of each document."),
    ] = False,
    recency: Annotated[
        float,
        typer.Option(min=0, max=1, help="How much age counts against a result."),
    ] = 0,
    context: Annotated[
        int,
        typer.Option(min=0, max=5, help="So many passages around each, too."),
    ] = 0,
    as_user: AsUser = None,
    as_groups: AsGroups = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Search a collection.

    Without a running server one is started for as long as it takes.
    """
    from wellhead.app.cli.server import connect_or_start, get_collection, segment

    body = {
        "query": query,
        "limit": limit,
        "offset": offset,
        "retrieval_strategy": strategy.value,
        "filter": _filter(conditions or ()),
        "group_by_entity": by_entity,
        "recency_bias": recency,
        "context": context,
    }
    with connect_or_start(url, data_dir) as server:
        found = get_collection(server, collection)
        path = f"/collections/{segment(found['readable_id'])}/search/instant"
        server.act_for(principal_headers(as_user, as_groups or ()))
        answer = server.answer(path, body)
    fallback = answer.headers.get("X-Search-Fallback")
    if fallback is not None:
        typer.echo(f"searched otherwise than asked: {fallback}", err=True)
    show(answer.json(), _hits, as_json=json)


def _filter(given: Sequence[str]) -> Any:
    """Return the filter in the API's form; the server says what is wrong with it."""
    if not given:
        return None
    if given[0].lstrip().startswith("["):
        if len(given) > 1:
            raise typer.BadParameter("JSON is the whole filter: give --filter once")
        try:
            return loads(given[0])
        except ValueError as error:
            raise typer.BadParameter(f"--filter is no JSON: {error}") from error
    return [{"conditions": [_condition(one) for one in given]}]


def _condition(given: str) -> dict[str, Any]:
    words = given.split(maxsplit=2)
    if len(words) < 3:
        raise typer.BadParameter(
            f"'{given}' is no condition: --filter takes 'FIELD OPERATOR VALUE'"
        )
    field, operator, value = words
    listed = value.split(",") if operator in ("in", "not_in") else value
    return {"field": field, "operator": operator, "value": listed}


def _hits(answer: dict[str, Any]) -> Any:
    from rich.console import Group

    missing = [
        f"{one['source_name']} is missing: {plain(one['why'])}"
        for one in answer.get("missing_sources", ())
    ]
    if not answer["results"]:
        return "\n".join(["Nothing found.", *missing])
    hits = (_hit(n, one) for n, one in enumerate(answer["results"], 1))
    return Group(*hits, *missing)


def _excerpt(text: str) -> str:
    whole = " ".join(plain(text).split())
    is_long = len(whole) > EXCERPT_CHARACTERS
    return whole[:EXCERPT_CHARACTERS] + "…" if is_long else whole


def _hit(number: int, one: dict[str, Any]) -> Any:
    from rich.text import Text

    steps = " / ".join(step["name"] for step in one["breadcrumbs"])
    around = one.get("context") or {"before": [], "after": []}
    passage = "\n     ".join(
        _excerpt(text)
        for text in (*around["before"], one["textual_representation"], *around["after"])
    )
    return Text.assemble(
        (f"{number:>3}. ", "dim"),
        (plain(one["name"]), "bold"),
        (f"  {one['relevance_score']:.3f}\n", "cyan"),
        (f"     {plain(steps)}\n" if steps else "", "dim"),
        f"     {passage}\n",
        (f"     {plain(one['web_url'])}\n" if one["web_url"] else "", "blue"),
    )

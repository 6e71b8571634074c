"""`wellhead search`: a question to a collection."""

from typing import Annotated, Any

import typer

from wellhead.app.cli.options import AsJson, Collection, DataDir, Url
from wellhead.app.cli.output import plain, show
from wellhead.domain.search import Strategy

EXCERPT_CHARACTERS = 280


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
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Search a collection.

    Without a running server one is started for as long as it takes.
    """
    from wellhead.app.cli.server import connect_or_start, get_collection, segment

    with connect_or_start(url, data_dir) as server:
        found = get_collection(server, collection)
        body = {"query": query, "limit": limit, "retrieval_strategy": strategy.value}
        path = f"/collections/{segment(found['readable_id'])}/search/instant"
        show(server.post(path, body), _hits, as_json=json)


def _hits(answer: dict[str, Any]) -> Any:
    from rich.console import Group

    if not answer["results"]:
        return "Nothing found."
    return Group(*(_hit(n, one) for n, one in enumerate(answer["results"], 1)))


def _hit(number: int, one: dict[str, Any]) -> Any:
    from rich.text import Text

    steps = " / ".join(step["name"] for step in one["breadcrumbs"])
    passage = " ".join(plain(one["textual_representation"]).split())
    if len(passage) > EXCERPT_CHARACTERS:
        passage = passage[:EXCERPT_CHARACTERS] + "…"
    return Text.assemble(
        (f"{number:>3}. ", "dim"),
        (plain(one["name"]), "bold"),
        (f"  {one['relevance_score']:.3f}\n", "cyan"),
        (f"     {plain(steps)}\n" if steps else "", "dim"),
        f"     {passage}\n",
        (f"     {plain(one['web_url'])}\n" if one["web_url"] else "", "blue"),
    )

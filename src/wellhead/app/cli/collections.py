"""`wellhead collections …`."""

from typing import Annotated, Any

import typer

from wellhead.app.cli.options import AsJson, DataDir, Url
from wellhead.app.cli.output import facts, moment, show, table

commands = typer.Typer(help="Collections: what you search.")


def _table(rows: list[dict[str, Any]]) -> Any:
    return table(
        ["collection", "name", "status", "sources", "created"],
        [
            (
                one["readable_id"],
                one["name"],
                one["status"],
                ", ".join(s["name"] for s in one["source_connection_summaries"]),
                moment(one["created_at"]),
            )
            for one in rows
        ],
    )


@commands.command("list", epilog="Example: wellhead collections list")
def list_all(url: Url = None, data_dir: DataDir = None, json: AsJson = None) -> None:
    """List collections, newest first."""
    from wellhead.app.cli.server import connect

    with connect(url, data_dir) as server:
        show(list(server.all("/collections")), _table, as_json=json)


@commands.command(epilog="Example: wellhead collections create 'My notes'")
def create(
    name: str,
    readable_id: Annotated[
        str | None, typer.Option(help="Its public name; made from the name if absent.")
    ] = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Create an empty collection."""
    from wellhead.app.cli.server import connect

    body = {"name": name, "readable_id": readable_id}
    with connect(url, data_dir) as server:
        show(server.post("/collections", body), facts, as_json=json)


@commands.command("show", epilog="Example: wellhead collections show my-notes")
def show_one(
    name: str, url: Url = None, data_dir: DataDir = None, json: AsJson = None
) -> None:
    """Show one collection, by its readable id or its name."""
    from wellhead.app.cli.server import connect, get_collection

    with connect(url, data_dir) as server:
        show(get_collection(server, name), facts, as_json=json)


@commands.command(epilog="Example: wellhead collections delete my-notes --yes")
def delete(
    name: str,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Delete a collection with everything that was synced into it."""
    from wellhead.app.cli.server import connect, get_collection, segment

    with connect(url, data_dir) as server:
        found = get_collection(server, name)
        if not yes:
            typer.confirm(f"Delete {found['readable_id']} and its data?", abort=True)
        gone = server.delete(f"/collections/{segment(found['readable_id'])}")
        show(gone, lambda one: f"Deleted {one['readable_id']}.", as_json=json)

"""`wellhead organizations …`: whom the API keys speak for."""

from typing import Annotated, Any

import typer

from wellhead.app.cli.options import AsJson, DataDir, Url
from wellhead.app.cli.output import facts, moment, show, table

commands = typer.Typer(
    help="Organizations: whom API keys speak for. A new one is made by "
    "`wellhead keys create --local --organization NAME`."
)


def _table(rows: list[dict[str, Any]]) -> Any:
    return table(
        ["id", "name", "created"],
        [(one["id"], one["name"], moment(one["created_at"])) for one in rows],
    )


@commands.command("list", epilog="Example: wellhead organizations list --local")
def list_all(
    local: Annotated[
        bool,
        typer.Option(
            "--local", help="All of the installation, read from the database itself."
        ),
    ] = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """List the organization of the key, or all of the installation."""
    from wellhead.app.cli.server import connect

    if local:
        show(_all_in_database(data_dir), _table, as_json=json)
        return
    with connect(url, data_dir) as server:
        show(server.get("/organizations"), _table, as_json=json)


def _all_in_database(data_dir: Any) -> list[dict[str, Any]]:
    from wellhead.app.cli.local import ask_database
    from wellhead.services.organizations import every_organization

    return [
        {
            "id": str(one.id),
            "name": one.name,
            "description": one.description,
            "created_at": one.created_at.isoformat(),
        }
        for one in ask_database(data_dir, every_organization)
    ]


@commands.command(epilog="Example: wellhead organizations rename 'Reading room'")
def rename(
    name: str, url: Url = None, data_dir: DataDir = None, json: AsJson = None
) -> None:
    """Give the organization of the key another name."""
    from wellhead.app.cli.server import connect, segment

    with connect(url, data_dir) as server:
        [own] = server.get("/organizations")
        path = f"/organizations/{segment(own['id'])}"
        show(server.put(path, {"name": name}), facts, as_json=json)

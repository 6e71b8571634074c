"""`wellhead audit`: who changed what."""

from typing import Annotated, Any

import typer

from wellhead.app.cli.options import AsJson, DataDir, Url
from wellhead.app.cli.output import moment, show, table


def add_to(app: typer.Typer) -> None:
    app.command("audit", epilog="Example: wellhead audit --action api_key.created")(
        list_entries
    )


def list_entries(
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    before: Annotated[
        int | None, typer.Option(help="Only what is older than this line's id.")
    ] = None,
    action: Annotated[
        str | None, typer.Option(help="Only this, such as collection.deleted.")
    ] = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """List who changed what, newest first."""
    from wellhead.app.cli.server import connect

    with connect(url, data_dir) as server:
        found = server.get("/audit-log", limit=limit, before=before, action=action)
        show(found, _table, as_json=json)


def _table(rows: list[dict[str, Any]]) -> Any:
    return table(
        ["id", "when", "who", "what", "to what", "details"],
        [
            (
                one["id"],
                moment(one["at"]),
                one["actor"]["name"],
                one["action"],
                f"{one['subject']['kind']} {one['subject']['id']}",
                one["details"],
            )
            for one in rows
        ],
    )

"""`wellhead reindex`: passages as they are cut now, at a cost that is told first."""

from typing import Annotated, Any

import typer

from wellhead.app.cli.options import AsJson, DataDir
from wellhead.app.cli.output import show, table


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Example: wellhead reindex --dry-run")(reindex)


def reindex(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would cost, change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Read and embed again what an older version, or another embedder, cut otherwise.

    Says first how much that is. Full jobs then read the sources; search goes on with
    the old passages until each entity is written. Vectors of a former embedder need no
    reindex: they are made anew by themselves, as `wellhead doctor` shows.
    """
    from wellhead.app.cli.local import ask_database
    from wellhead.services import reindex as service

    cost = ask_database(data_dir, service.cost_of)
    told = _told(cost)
    if dry_run or not cost.entities:
        show(told, _report, as_json=json)
        return
    if not yes:
        typer.echo(_sentence(told), err=True)
        typer.confirm("Go on?", abort=True, err=True)
    jobs = ask_database(data_dir, lambda parts: service.reindex(parts, cost))
    show(told | {"jobs": [str(one) for one in jobs]}, _report, as_json=json)


def _told(cost: Any) -> dict[str, Any]:
    return {
        "embedder": cost.embedder,
        "entities": cost.entities,
        "passages": cost.passages,
        "connections": [
            {
                "id": str(one.connection_id),
                "collection": one.collection,
                "name": one.name,
                "entities": one.entities,
                "passages": one.passages,
            }
            for one in cost.connections
        ],
        "embedded_anew": [
            {
                "collection": one.readable_id,
                "to": one.next.model,
                "percent": one.percent,
                "error": one.error,
            }
            for one in cost.under_way
        ],
        "jobs": [],
    }


def _sentence(told: dict[str, Any]) -> str:
    if not told["entities"]:
        return "All passages are as they would be cut now: there is nothing to do."
    return (
        f"{told['entities']} entities of {len(told['connections'])} connections would "
        f"be read from their sources again, and about {told['passages']} passages "
        f"embedded by {told['embedder']}."
    )


def _report(told: dict[str, Any]) -> Any:
    from rich.console import Group

    parts: list[Any] = [_sentence(told)]
    if told["connections"]:
        rows = [
            (one["collection"], one["name"], one["entities"], one["passages"])
            for one in told["connections"]
        ]
        parts.append(table(["collection", "connection", "entities", "passages"], rows))
    parts += [
        f"{one['collection']} is embedded anew with {one['to']}: {one['percent']} %"
        for one in told["embedded_anew"]
    ]
    if told["jobs"]:
        parts.append(f"{len(told['jobs'])} jobs were started: wellhead jobs list")
    return Group(*parts)

"""`wellhead sources …`: what can be connected, and how to add to it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from wellhead.app.cli.options import AsJson, DataDir, Url
from wellhead.app.cli.output import show, table

commands = typer.Typer(help="Sources: what can be connected.")


@commands.command("list", epilog="Example: wellhead sources list")
def list_all(url: Url = None, data_dir: DataDir = None, json: AsJson = None) -> None:
    """List what can be connected."""
    from wellhead.app.cli.server import connect

    with connect(url, data_dir) as server:
        show(
            server.get("/sources"),
            lambda rows: table(
                [
                    "source",
                    "name",
                    "incremental",
                    "deletes",
                    "tested on",
                    "description",
                ],
                [
                    (
                        one["short_name"],
                        one["name"],
                        "yes" if one["is_incremental"] else "",
                        one["deletes_found"],
                        one["tested"],
                        one["description"],
                    )
                    for one in rows
                ],
            ),
            as_json=json,
        )


@commands.command("show", epilog="Example: wellhead sources show git")
def show_one(
    short_name: str, url: Url = None, data_dir: DataDir = None, json: AsJson = None
) -> None:
    """Show the fields that a source asks for."""
    from wellhead.app.cli.server import connect, segment

    with connect(url, data_dir) as server:
        show(server.get(f"/sources/{segment(short_name)}"), _fields, as_json=json)


@commands.command("new", epilog="Example: wellhead sources new my_tracker")
def new(
    short_name: str,
    into: Annotated[
        Path, typer.Option("--into", help="The folder in which its folder is made.")
    ] = Path(),
    json: AsJson = None,
) -> None:
    """Make a package for a source of your own: it runs, and its tests pass."""
    from wellhead.app.new_source import create
    from wellhead.sources.registry import Registry

    taken = frozenset(Registry.load(include_demo=True).by_name)
    folder = create(short_name, into, taken=taken)
    show(
        {"source": short_name, "folder": str(folder)},
        lambda made: (
            f"{made['folder']} is ready. Next:\n"
            f"  pip install -e '{made['folder']}[test]'\n"
            f"  cd {made['folder']} && python -m pytest"
        ),
        as_json=json,
    )


def _fields(source: dict[str, Any]) -> Any:
    asked = [
        (option, field)
        for option, part in (("--config", "config"), ("--credential", "auth"))
        for field in (source[f"{part}_fields"] or {"fields": []})["fields"]
    ]
    return table(
        ["option", "field", "type", "required", "description"],
        [
            (
                option,
                field["name"],
                field["type"],
                "yes" if field["required"] else "",
                field["description"],
            )
            for option, field in asked
        ],
    )

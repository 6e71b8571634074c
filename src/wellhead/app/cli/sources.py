"""`wellhead sources …`: what can be connected, and how to add to it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from wellhead.app.cli.options import AsJson, DataDir, Url
from wellhead.app.cli.output import facts, show, table

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
    short_name: str,
    definition: Annotated[
        bool,
        typer.Option("--definition", help="The YAML file of one that was added."),
    ] = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Show the fields that a source asks for."""
    from wellhead.app.cli.server import connect, segment

    path = f"/sources/{segment(short_name)}"
    with connect(url, data_dir) as server:
        if not definition:
            show(server.get(path), _fields, as_json=json)
            return
        found = server.get(f"{path}/definition")
    if json:
        show(found, facts, as_json=True)
    else:
        typer.echo(found["definition"], nl=False)  # as it was, to be saved again


File = Annotated[
    Path, typer.Argument(help="A YAML file, see docs/declarative-sources.md.")
]
Local = Annotated[
    bool,
    typer.Option(
        "--local",
        help="In the database itself, without a key: where there are several "
        "organizations.",
    ),
]


@commands.command("check", epilog="Example: wellhead sources check ./my.yaml")
def check(file: File, json: AsJson = None) -> None:
    """Tell what is wrong with a definition, by line; nothing is asked or added."""
    from wellhead.app.cli.definition_files import checked

    show(
        checked(file),
        lambda found: (
            f"{file} declares '{found['short_name']}': "
            f"{', '.join(found['entity_types'])}"
        ),
        as_json=json,
    )


@commands.command("try", epilog="Example: wellhead sources try ./my.yaml")
def try_it(
    file: File,
    config: Annotated[list[str] | None, typer.Option(help="key=value")] = None,
    credential: Annotated[list[str] | None, typer.Option(help="key=value")] = None,
    stream: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many to read.")] = 5,
    json: AsJson = None,
) -> None:
    """Read a little of what a file declares, and show it; nothing is stored."""
    from wellhead.app.cli.definition_trial import Trial, told, tried
    from wellhead.app.cli.output import wants_json

    trial = Trial(
        file=file,
        config=config or [],
        credentials=credential or [],
        stream=stream,
        limit=limit,
    )
    data = tried(trial)
    if wants_json(asked=json):
        show(data, facts, as_json=True)
    else:
        typer.echo(told(data))


@commands.command("add", epilog="Example: wellhead sources add ./my.yaml")
def add(
    file: File,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Put it in the place of the one of its name. Its connections list "
            "everything anew with their next job.",
        ),
    ] = False,
    local: Local = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Add a source that a YAML file declares, for the whole installation."""
    from wellhead.app.cli import definition_files
    from wellhead.app.cli.server import connect

    text = definition_files.read(file)
    if local:
        data = definition_files.add_locally(text, data_dir, replace=replace)
    else:
        with connect(url, data_dir) as server:
            body = {"definition": text, "replace": replace}
            data = server.post("/sources", body)
    show(data, lambda made: f"'{made['short_name']}' can be connected", as_json=json)


@commands.command("remove", epilog="Example: wellhead sources remove my_tracker")
def remove(
    short_name: str,
    local: Local = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Remove a source that was added and that no connection uses."""
    from wellhead.app.cli import definition_files
    from wellhead.app.cli.server import connect, segment

    if local:
        data = definition_files.remove_locally(short_name, data_dir)
    else:
        with connect(url, data_dir) as server:
            data = server.delete(f"/sources/{segment(short_name)}")
    show(data, lambda gone: f"'{gone['short_name']}' is removed", as_json=json)


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

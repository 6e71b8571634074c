"""`wellhead version`."""

import typer

from wellhead import __version__
from wellhead.app.cli.options import AsJson
from wellhead.app.cli.output import show


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Example: wellhead version")(version)


def version(json: AsJson = None) -> None:
    """Print the version."""
    show(
        {"version": __version__},
        lambda data: f"wellhead {data['version']}",
        as_json=json,
    )

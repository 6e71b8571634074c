"""Options that most commands share."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[
    bool | None,
    typer.Option(
        "--json/--no-json",
        help="Print JSON; the default when the output is not a terminal.",
        show_default=False,
    ),
]
Url = Annotated[
    str | None,
    typer.Option(help="The server, instead of the one on the data directory."),
]
DataDir = Annotated[Path | None, typer.Option(help="Where the data lives.")]
Collection = Annotated[
    str, typer.Option("--collection", "-c", help="Its name or readable id.")
]

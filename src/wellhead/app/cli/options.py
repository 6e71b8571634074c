"""Options that most commands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

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
AsUser = Annotated[str | None, typer.Option(help="Show only what this user may see.")]
AsGroups = Annotated[
    list[str] | None,
    typer.Option("--as-group", help="And what this group may see; repeat it for more."),
]
Collection = Annotated[
    str, typer.Option("--collection", "-c", help="Its name or readable id.")
]


def principal_headers(user: str | None, groups: Sequence[str]) -> dict[str, str]:
    """Return the headers that name for whom is asked."""
    named = {"X-As-User": None if user is None else quote(user, safe="")}
    if groups:
        named["X-As-Groups"] = ",".join(quote(one, safe="") for one in groups)
    return {name: value for name, value in named.items() if value is not None}

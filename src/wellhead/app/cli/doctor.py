"""`wellhead doctor`: every setting, and whether everything is in order."""

from typing import Any

import typer

from wellhead.app.cli.options import AsJson, DataDir
from wellhead.app.cli.output import show, table


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Example: wellhead doctor")(doctor)


def doctor(data_dir: DataDir = None, json: AsJson = None) -> None:
    """Print every setting and check this installation; exit status 1 if one fails."""
    from wellhead.app.checkup import check_all, list_settings
    from wellhead.app.settings import load

    settings = load(data_dir=data_dir)
    options = [] if data_dir is None else ["data_dir"]
    checks = check_all(settings)
    data = {"settings": list_settings(settings, options), "checks": checks}
    show(data, _report, as_json=json)
    if not all(check["ok"] for check in checks):
        raise typer.Exit(1)


def _report(data: dict[str, Any]) -> Any:
    from rich.console import Group

    return Group(
        table(
            ["setting", "value", "from"],
            [(one["name"], one["value"], one["from"]) for one in data["settings"]],
        ),
        table(
            ["check", "", "found"],
            [
                (one["check"], "ok" if one["ok"] else "FAILED", one["found"])
                for one in data["checks"]
            ],
        ),
    )

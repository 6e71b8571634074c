"""`wellhead doctor`: every setting, whether everything is in order, and scrubbing."""

from functools import partial
from shlex import quote
from typing import Annotated, Any

import typer

from wellhead.app.cli.options import AsJson, DataDir
from wellhead.app.cli.output import show, table


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Example: wellhead doctor --scrub --dry-run")(doctor)


def doctor(
    scrub: Annotated[
        bool,
        typer.Option(
            "--scrub", help="Compare the index with the ledger and mend what differs."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --scrub: look, change nothing.")
    ] = False,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Print every setting and check this installation; exit status 1 if one fails.

    With --scrub: compare every collection's index with the ledger instead. Lost chunks
    come back with the next job of their connection; chunks that nobody knows are
    removed. Jobs and searches may go on meanwhile. Exit status 1 if anything wrong is
    left unrepaired, as with --dry-run.
    """
    from wellhead.app.settings import load

    if dry_run and not scrub:
        raise typer.BadParameter("--dry-run goes with --scrub")
    settings = load(data_dir=data_dir)
    if scrub:
        from wellhead.app.checkup import scrub_all

        told = scrub_all(settings, repair=not dry_run)
        where = "" if data_dir is None else f" --data-dir {quote(str(data_dir))}"
        show(told, partial(_scrub_report, where=where), as_json=json)
        is_well = told["is_well"]
    else:
        from wellhead.app.checkup import check_all, list_settings, whose_settings

        options = [] if data_dir is None else ["data_dir"]
        checks = check_all(settings)
        data = {
            "settings": list_settings(settings, options),
            "note": whose_settings(settings),
            "checks": checks,
        }
        show(data, _report, as_json=json)
        is_well = all(check["ok"] for check in checks)
    if not is_well:
        raise typer.Exit(1)


def _scrub_report(told: dict[str, Any], *, where: str) -> Any:
    from rich.console import Group
    from rich.text import Text

    compared = f"Compared {told['entities']} entities with {told['versions']} versions."
    if not told["findings"]:
        compared += " Nothing is wrong."
    parts: list[Any] = [compared]
    if told["findings"]:
        rows = [
            (one["collection"] or "", one["count"], one["found"], one["repair"])
            for one in told["findings"]
        ]
        parts.append(table(["collection", "count", "found", "repair"], rows))
    if told["waiting_for_a_job"]:
        parts.append(f"{told['waiting_for_a_job']} entities wait for the next job.")
    parts += [
        Text(
            f"Run: wellhead connections run {one}{where}",
            no_wrap=True,
            overflow="ignore",
        )
        for one in told["connections_to_run"]
    ]
    return Group(*parts)


def _report(data: dict[str, Any]) -> Any:
    from rich.console import Group

    return Group(
        table(
            ["setting", "value", "from"],
            [(one["name"], one["value"], one["from"]) for one in data["settings"]],
        ),
        data["note"],
        table(
            ["check", "", "found"],
            [
                (one["check"], "ok" if one["ok"] else "FAILED", one["found"])
                for one in data["checks"]
            ],
        ),
    )

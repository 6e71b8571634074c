"""What commands print: JSON for programs, tables for people."""

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

COUNTS = ("inserted", "updated", "deleted", "failed")
LOG_WIDTH = 140
TABLE_WIDTH = 120
STYLES = {
    "completed": "green",
    "failed": "red",
    "running": "cyan",
    "cancelling": "yellow",
    "cancelled": "yellow",
}


def wants_json(*, asked: bool | None) -> bool:
    return not sys.stdout.isatty() if asked is None else asked


def show(
    data: Any, to_people: Callable[[Any], object], *, as_json: bool | None
) -> None:
    """Print the data as JSON, or what `to_people` makes of it."""
    if wants_json(asked=as_json):
        sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
        return
    from rich.console import Console

    # a log has no width; tables shall not be squeezed in it
    console = Console(width=None if sys.stdout.isatty() else LOG_WIDTH)
    console.print(to_people(data), soft_wrap=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(*columns, box=box.SIMPLE_HEAD)
    made.columns[0].no_wrap = True
    for row in rows:
        made.add_row(
            *(one if isinstance(one, Text) else Text(plain(one)) for one in row)
        )
    return made


def facts(data: dict[str, Any]) -> Any:
    """Lay out one thing: a line for each field that says something."""
    return table(
        ["field", "value"],
        [(key, value) for key, value in data.items() if value not in (None, [], {})],
    )


def facts_and_steps(data: dict[str, Any]) -> Any:
    """Lay out one thing, and below it what to do next."""
    steps = data["next_steps"]
    known = {key: value for key, value in data.items() if key != "next_steps"}
    return with_steps(facts(known), steps)


def with_steps(layout: Any, steps: Iterable[dict[str, str]]) -> Any:
    """Lay out reasons and commands below, a command on one line however long."""
    from rich.console import Group
    from rich.text import Text

    lines = []
    for step in steps:
        lines.append(Text(step["why"]))
        lines.append(Text(f"  {step['command']}", no_wrap=True, overflow="ignore"))
    return Group(layout, *lines)


def plain(value: object) -> str:
    """Return text for people, without control characters that a source may hold."""
    text = "" if value is None else str(value)
    if isinstance(value, dict | list):
        text = json.dumps(value, ensure_ascii=False)
    return "".join(one if one.isprintable() or one == "\n" else " " for one in text)


def status(value: str) -> Any:
    from rich.text import Text

    return Text(value, style=STYLES.get(value, ""))


def job_table(jobs: Sequence[dict[str, Any]]) -> Any:
    if sys.stdout.isatty() and shutil.get_terminal_size().columns < TABLE_WIDTH:
        from rich.console import Group

        return Group(*map(_job_lines, jobs))
    return table(
        ["job", "status", "started", "duration", *COUNTS, "error"],
        [
            (
                job["id"],
                status(job["status"]),
                moment(job.get("started_at")),
                duration(job),
                *(job[f"entities_{count}"] for count in COUNTS),
                job.get("error") or "",
            )
            for job in jobs
        ],
    )


def _job_lines(job: dict[str, Any]) -> Any:
    """Lay out one job for a narrow terminal."""
    from rich.text import Text

    counts = [f"{job[f'entities_{count}']} {count}" for count in COUNTS]
    when = [moment(job.get("started_at")), duration(job)]
    said = " · ".join(one for one in (*when, *counts) if one)
    error = f"\n  {plain(job['error'])}" if job.get("error") else ""
    return Text.assemble(f"{job['id']}  ", status(job["status"]), f"\n  {said}{error}")


def moment(text: str | None) -> str:
    """Show a time of the API in the user's own time zone."""
    if not text:
        return ""
    read = datetime.fromisoformat(text)
    aware = read if read.tzinfo else read.replace(tzinfo=UTC)
    return aware.astimezone().strftime("%m-%d %H:%M:%S")


def duration(job: dict[str, Any]) -> str:
    seconds = job.get("duration_seconds")
    return "" if seconds is None else f"{seconds:.1f} s"

"""`wellhead failures …`: what could not be processed, why, and trying it again."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from wellhead.app.cli.options import AsJson, DataDir, Url
from wellhead.app.cli.output import job_table, moment, plain, show, table, wants_json
from wellhead.domain.errors import FailureClass, FailureStage

LARGEST_PAGE = 1000
WHEN = {
    "next_job": "in the next job",
    "next_listing": "when it is listed",
    "source_version_or_pipeline_changes": "when it changes",
}


class _ListByDefault(TyperGroup):
    """Reads `failures CONNECTION` as `failures list CONNECTION`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        is_meant_for_group = not args or args[0] in (*self.commands, "-h", "--help")
        return super().parse_args(ctx, args if is_meant_for_group else ["list", *args])


commands = typer.Typer(
    cls=_ListByDefault,
    help="Entities that failed: why, when they are tried again, and trying them now. "
    "`wellhead failures CONNECTION_ID` is short for `wellhead failures list`.",
)

Stage = Annotated[
    FailureStage | None, typer.Option(help="Only what failed at this step.")
]
Class = Annotated[
    FailureClass | None,
    typer.Option(
        "--class",
        help="Only what may pass by itself (transient), or not (permanent).",
    ),
]


@commands.command(
    "list", epilog="Example: wellhead failures list CONNECTION_ID --class permanent"
)
def list_all(
    connection_id: Annotated[str, typer.Argument(metavar="CONNECTION_ID")],
    stage: Stage = None,
    failure_class: Class = None,
    limit: Annotated[int, typer.Option(min=1)] = 100,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """List what of a connection is in quarantine, in whichever job it failed.

    The old version of a failed entity stays searchable. Transient failures are tried
    again by themselves, permanent ones when the entity changes at the source;
    `wellhead failures retry` tries any of them at once.
    """
    from wellhead.app.cli.server import connect

    with connect(url, data_dir) as server:
        chosen = {"stage": stage, "class": failure_class}
        found = _standing(server, connection_id, limit, chosen)
        report = _report_chosen if stage or failure_class else _report
        show(found, report, as_json=json)


def _standing(
    server: Any, connection_id: str, limit: int, chosen: Mapping[str, str | None]
) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    after = None
    while True:
        size = min(limit - len(found), LARGEST_PAGE)
        page = server.page(_path(connection_id), limit=size, after=after, **chosen)
        found += page.rows
        after = page.after
        if after is None or len(found) >= limit:
            break
    found.sort(key=lambda one: (one["source_id"] is not None, one["source_id"]))
    return {"total": page.total, "failures": found}


def _path(connection_id: str) -> str:
    from wellhead.app.cli.server import segment

    return f"/source-connections/{segment(connection_id)}/failures"


def _report(data: dict[str, Any]) -> Any:
    from rich.console import Group

    found, total = data["failures"], data["total"]
    if not found:
        return "Nothing is in quarantine."
    rows = [
        (
            moment(one["failed_at"]),
            f"{one['stage']}, {one['class']}",
            one["attempts"],
            WHEN.get(one["retried_when"]) or moment(one["next_retry_at"]),
            one["source_id"] or f"a part of {one['scope'] or 'the source'}",
            one["reason"],
        )
        for one in found
    ]
    columns = ["last failed", "how", "tries", "tried again", "what", "reason"]
    said = f"{total:,} in quarantine"
    if len(found) < total:
        said += f", {len(found):,} of them shown: see --limit"
    return Group(table(columns, rows), said)


def _report_chosen(data: dict[str, Any]) -> Any:
    if not data["failures"]:
        return "Nothing of that kind is in quarantine."
    return _report(data)


@commands.command(
    epilog="Example: wellhead failures retry CONNECTION_ID docs/plan.pdf --follow"
)
def retry(
    connection_id: Annotated[str, typer.Argument(metavar="CONNECTION_ID")],
    entity_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="ENTITY_ID", help="As listed; all if absent."),
    ] = None,
    stage: Stage = None,
    failure_class: Class = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Wait until they have been tried.")
    ] = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Try again what failed, also what failed for good: all of it, or what is named.

    Starts a job that tries these first. If one runs already, they are due in the next.
    With --follow the exit status is 1 when the job did not complete; what fails again
    is back in the list.
    """
    from wellhead.app.cli.server import CommandError, connect

    asked = {
        "source_ids": entity_ids or None,
        "stage": stage,
        "class": failure_class,
    }
    with connect(url, data_dir) as server:
        told = server.post(f"{_path(connection_id)}/retry", asked)
        if told["job"] is None and entity_ids:
            raise CommandError(
                "nothing of that is in quarantine; "
                f"see `wellhead failures list {connection_id}`"
            )
        if follow and told["job"] is not None:
            told = _follow(server, connection_id, asked, told, as_json=json)
        show(told, _say, as_json=json)
    if follow and told["job"] is not None and told["job"]["status"] != "completed":
        raise typer.Exit(1)


def _follow(
    server: Any,
    connection_id: str,
    asked: dict[str, Any],
    told: dict[str, Any],
    *,
    as_json: bool | None,
) -> dict[str, Any]:
    """Return how the job went that tried them; one that runs already is waited for."""
    from wellhead.app.cli.follow import INTERRUPTED, follow

    for_people = not wants_json(asked=as_json)
    try:
        while True:
            ended = follow(
                server, connection_id, told["job"]["id"], for_people=for_people
            )
            if told["retried_in"] == "this_job":
                break
            again = server.post(f"{_path(connection_id)}/retry", asked)
            if again["job"] is None:  # that job has settled them after all
                break
            told = again
    except KeyboardInterrupt:
        sys.stderr.write("\nThe job goes on.\n")
        raise typer.Exit(INTERRUPTED) from None
    left = server.page(_path(connection_id), limit=1).total
    return told | {"job": ended, "in_quarantine": left}


def _say(told: dict[str, Any]) -> Any:
    from rich.console import Group

    if told["job"] is None:
        return "Nothing to try again is in quarantine."
    what = f"{told['entities']:,} entities"
    if told["scopes"]:
        what += f" and {told['scopes']:,} parts that could not be listed"
    missing = [plain(f"not in quarantine: {one}") for one in told["not_found"]]
    if "in_quarantine" in told:
        said = f"Tried again: {what}. In quarantine now: {told['in_quarantine']:,}."
    elif told["retried_in"] == "this_job":
        said = f"{what} are tried again by this job."
    else:
        said = f"{what} are tried again first by the job after this one, which runs."
    return Group(*missing, job_table([told["job"]]), said)

"""`wellhead jobs …`: what was synced, when, and how it went."""

import sys
from typing import Annotated, Any

import typer

from wellhead.app.cli.options import AsJson, DataDir, Url
from wellhead.app.cli.output import facts_and_steps, job_table, show, wants_json

commands = typer.Typer(help="Sync jobs: what was synced, when, and how it went.")

OfConnection = Annotated[
    str | None, typer.Option("--connection", help="Its connection; found if absent.")
]


@commands.command("list", epilog="Example: wellhead jobs list --collection notes")
def list_all(
    connection_id: Annotated[str | None, typer.Argument()] = None,
    collection: Annotated[str | None, typer.Option("--collection", "-c")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """List the newest jobs of a connection, of a collection, or of all."""
    from wellhead.app.cli.server import connect

    with connect(url, data_dir) as server:
        found = _list(server, connection_id, collection, limit)
        show(found, job_table, as_json=json)


def _list(
    server: Any, connection_id: str | None, collection: str | None, limit: int
) -> list[dict[str, Any]]:
    from wellhead.app.cli.server import get_collection, segment

    if connection_id is not None:
        ids = [connection_id]
    else:
        of = None if collection is None else get_collection(server, collection)
        readable_id = None if of is None else of["readable_id"]
        rows = server.all("/source-connections", collection=readable_id)
        ids = [row["id"] for row in rows]
    jobs = [
        job
        for one in ids
        for job in server.get(f"/source-connections/{segment(one)}/jobs", limit=limit)
    ]
    # one that has not started yet is the newest of all
    jobs.sort(key=lambda job: job["started_at"] or "~", reverse=True)
    return jobs[:limit]


def _find(server: Any, job_id: str, connection_id: str | None) -> dict[str, Any]:
    from wellhead.app.cli.follow import job_path
    from wellhead.app.cli.server import CommandError, segment

    path = f"/sync/job/{segment(job_id)}"
    if connection_id is not None:
        path = job_path(connection_id, job_id)
    found: dict[str, Any] | None = server.find(path)
    if found is None:
        raise CommandError(f"there is no job {job_id}; see `wellhead jobs list`")
    return found


@commands.command("show", epilog="Example: wellhead jobs show JOB_ID")
def show_one(
    job_id: str,
    connection: OfConnection = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Show one job, what it could not process, and what its connection waits for."""
    from wellhead.app.cli.follow import job_path
    from wellhead.app.cli.hints import next_steps
    from wellhead.app.cli.server import connect

    with connect(url, data_dir) as server:
        job = _find(server, job_id, connection)
        path = job_path(job["source_connection_id"], job["id"])
        job["failures"] = server.get(f"{path}/failures", limit=20)
        job["next_steps"] = next_steps(
            server, job["source_connection_id"], url, data_dir
        )
        show(job, facts_and_steps, as_json=json)


@commands.command(epilog="Example: wellhead jobs cancel JOB_ID")
def cancel(
    job_id: str,
    keep_data: Annotated[
        bool, typer.Option("--keep-data", help="Keep what it has inserted.")
    ] = False,
    connection: OfConnection = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Stop a job; what it inserted is removed unless --keep-data."""
    from wellhead.app.cli.follow import job_path
    from wellhead.app.cli.server import connect

    with connect(url, data_dir) as server:
        job = _find(server, job_id, connection)
        path = job_path(job["source_connection_id"], job["id"])
        told = server.post(f"{path}/cancel", keep_data=str(keep_data).lower())
        show(told, lambda one: f"{one['id']} is {one['status']}.", as_json=json)


@commands.command(epilog="Example: wellhead jobs watch JOB_ID")
def watch(
    job_id: str,
    connection: OfConnection = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Follow a job until it ends; the exit status is 1 when it did not complete."""
    from wellhead.app.cli.follow import INTERRUPTED, follow
    from wellhead.app.cli.server import connect

    with connect(url, data_dir) as server:
        job = _find(server, job_id, connection)
        try:
            ended = follow(
                server,
                job["source_connection_id"],
                job["id"],
                for_people=not wants_json(asked=json),
            )
        except KeyboardInterrupt:
            sys.stderr.write("\nThe job goes on.\n")
            raise typer.Exit(INTERRUPTED) from None
        show(ended, lambda one: job_table([one]), as_json=json)
    if ended["status"] != "completed":
        raise typer.Exit(1)

"""`wellhead sync`: from a folder, repository or database to a searchable collection."""

import sys
from typing import Annotated, Any

import typer

from wellhead.app.cli.options import AsJson, DataDir, Url
from wellhead.app.cli.output import job_table, plain, show, wants_json, with_steps
from wellhead.app.cli.target import Target, TargetError, read_target, with_lists

SHOWN_FAILURES = 5
CONFLICT = 409
PENDING_AUTH = "pending_auth"


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Example: wellhead sync ~/notes --collection notes")(sync)


def sync(
    what: Annotated[
        str,
        typer.Argument(
            metavar="PATH|SOURCE",
            help="A folder or file, a repository (git:URL or its URL), a database "
            "(postgresql://…), or a source by its short name.",
        ),
    ],
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="Created when missing.")
    ] = None,
    config: Annotated[
        list[str] | None, typer.Option(help="key=value of the source, repeatable.")
    ] = None,
    credential: Annotated[
        list[str] | None, typer.Option(help="key=value of its credentials, repeatable.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="List everything anew.")] = False,
    confirm_deletes: Annotated[
        int | None, typer.Option(help="Let this many held deletes happen.", min=0)
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count what is there; write nothing.")
    ] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Start the job and leave.")
    ] = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Sync a source into a collection, creating what is missing.

    The exit status is 0 when the job completed and 1 when it failed. Ctrl-C (130)
    only stops watching: the job goes on, or at the server's next start.
    Without a running server one is started for as long as it takes.
    """
    try:
        target = read_target(what, config or [], credential or [])
    except TargetError as error:
        raise typer.BadParameter(str(error)) from error
    if dry_run:
        from wellhead.app.cli.dry_run import count, report

        show(count(target, data_dir), report, as_json=json)
        return
    if collection is None:
        raise typer.BadParameter("name a collection with --collection")
    from wellhead.app.cli.hints import next_steps
    from wellhead.app.cli.server import CommandError, connect, connect_or_start

    if no_wait:  # a server that ended at once would start nothing
        with connect(url, data_dir) as server:
            started = start(server, target, collection, full, confirm_deletes)
            show(started, _summary, as_json=json)
        return
    with connect_or_start(url, data_dir) as server:
        started = start(server, target, collection, full, confirm_deletes)
        done = _follow(server, started, as_json=json)
        done["next_steps"] = next_steps(
            server, done["source_connection"], url, data_dir
        )
        show(done, _summary, as_json=json)
    if done["job"]["status"] != "completed":
        raise CommandError(f"the job {done['job']['status']}: {done['job']['error']}")


def start(
    server: Any,
    target: Target,
    collection: str,
    full: bool = False,
    confirm_deletes: int | None = None,
) -> dict[str, Any]:
    """Start a job of the target, or join the one under way."""
    from wellhead.app.cli.server import RefusedError, find_collection

    into = find_collection(server, collection)
    is_new = into is None
    if into is None:
        into = server.post("/collections", {"name": collection})
    try:
        connection = _ensure_connection(server, target, into["readable_id"])
    except RefusedError:
        if is_new:  # nothing came of it, so nothing of it stays
            server.delete(f"/collections/{into['readable_id']}")
        raise
    path = f"/source-connections/{connection['id']}"
    if connection["status"] == PENDING_AUTH:
        from wellhead.app.cli.consent import wait_for_consent

        is_asked = connection["auth"]["claim_token"] is not None
        asked = connection if is_asked else server.post(f"{path}/reinitiate-oauth")
        wait_for_consent(server, asked)
    try:
        job = server.post(
            f"{path}/run",
            force_full_sync=str(full).lower(),
            confirm_deletes=confirm_deletes,
        )
    except RefusedError as error:
        newest = server.get(f"{path}/jobs", limit=1)
        can_join = newest and not full and confirm_deletes is None
        if error.status != CONFLICT or not can_join:
            raise
        sys.stderr.write("wellhead: a job is under way already; following it\n")
        job = newest[0]
    return {
        "collection": into["readable_id"],
        "source_connection": connection["id"],
        "job": job,
    }


def _ensure_connection(server: Any, target: Target, readable_id: str) -> Any:
    """Return the connection of this source and config, with these credentials."""
    authentication = {"credentials": target.credentials} if target.credentials else None
    target = with_lists(target, server.get(f"/sources/{target.short_name}"))
    for one in server.all("/source-connections", collection=readable_id):
        if one["short_name"] != target.short_name:
            continue
        found = server.get(f"/source-connections/{one['id']}")
        if (found["config"] or {}) == target.config:
            if authentication is not None:
                server.patch(
                    f"/source-connections/{one['id']}",
                    {"authentication": authentication},
                )
            return found
    body = {
        "name": target.name,
        "short_name": target.short_name,
        "readable_collection_id": readable_id,
        "config": target.config,
        "authentication": authentication,
        "sync_immediately": False,
    }
    return server.post("/source-connections", body)


def _follow(
    server: Any, started: dict[str, Any], *, as_json: bool | None
) -> dict[str, Any]:
    from wellhead.app.cli.follow import INTERRUPTED, follow, job_path

    connection, job = started["source_connection"], started["job"]
    try:
        ended = follow(
            server, connection, job["id"], for_people=not wants_json(asked=as_json)
        )
    except KeyboardInterrupt:
        sys.stderr.write(
            "\nThe job goes on while a server runs. Then watch it, or cancel it:\n"
            f"  wellhead jobs watch {job['id']}\n"
            f"  wellhead jobs cancel {job['id']}\n"
        )
        raise typer.Exit(INTERRUPTED) from None
    failures = server.get(
        f"{job_path(connection, job['id'])}/failures", limit=SHOWN_FAILURES
    )
    return started | {"job": ended, "failures": failures}


def _summary(done: dict[str, Any]) -> Any:
    from rich.console import Group

    failures = [
        plain(f"failed: {one['source_id']} ({one['stage']}): {one['reason']}")
        for one in done.get("failures", [])
    ]
    shown = Group(job_table([done["job"]]), *failures)
    return with_steps(shown, done.get("next_steps", []))

"""`wellhead connections …`: configured sources."""

from typing import Annotated, Any

import typer

from wellhead.app.cli.options import AsJson, Collection, DataDir, Url
from wellhead.app.cli.output import facts, facts_and_steps, job_table, show, table
from wellhead.app.cli.target import TargetError, read_target

commands = typer.Typer(help="Source connections: configured sources.")

NoWait = Annotated[
    bool, typer.Option("--no-wait", help="Do not wait for consent in a browser.")
]


@commands.command("list", epilog="Example: wellhead connections list -c notes")
def list_all(
    collection: Annotated[str | None, typer.Option("--collection", "-c")] = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """List source connections, newest first."""
    from wellhead.app.cli.server import connect, get_collection

    with connect(url, data_dir) as server:
        of = None if collection is None else get_collection(server, collection)
        readable_id = None if of is None else of["readable_id"]
        rows = list(server.all("/source-connections", collection=readable_id))
        show(rows, _table, as_json=json)


def _table(rows: list[dict[str, Any]]) -> Any:
    names = ("id", "name", "short_name", "readable_collection_id", "status")
    return table(
        ["id", "name", "source", "collection", "status", "entities"],
        [(*(one[name] for name in names), one["entity_count"]) for one in rows],
    )


@commands.command(
    epilog="Example: wellhead connections create ~/notes -c notes --config "
    "'include=[\"*.md\"]'"
)
def create(
    what: Annotated[str, typer.Argument(metavar="PATH|SOURCE")],
    collection: Collection,
    config: Annotated[list[str] | None, typer.Option(help="key=value")] = None,
    credential: Annotated[list[str] | None, typer.Option(help="key=value")] = None,
    name: Annotated[str | None, typer.Option(help="A name for people.")] = None,
    cron: Annotated[str | None, typer.Option(help="Sync on this schedule.")] = None,
    client_id: Annotated[
        str | None, typer.Option(help="An OAuth client of your own.")
    ] = None,
    client_secret: Annotated[
        str | None, typer.Option(help="Its secret; asked for if left out.")
    ] = None,
    no_wait: NoWait = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Connect a source to a collection that exists, without syncing it yet.

    Where consent is given in a browser, it prints a link, waits for that, and syncs.
    """
    from wellhead.app.cli.consent import own_client, wait_for_consent
    from wellhead.app.cli.server import connect, get_collection, segment

    try:
        target = read_target(what, config or [], credential or [])
    except TargetError as error:
        raise typer.BadParameter(str(error)) from error
    with connect(url, data_dir) as server:
        body = {
            "name": name or target.name,
            "short_name": target.short_name,
            "readable_collection_id": get_collection(server, collection)["readable_id"],
            "config": target.config,
            "sync_immediately": False,
        }
        if target.credentials:
            body["authentication"] = {"credentials": target.credentials}
        if client_id is not None:
            source = server.get(f"/sources/{segment(target.short_name)}")
            body["authentication"] = own_client(source, client_id, client_secret)
        if cron is not None:
            body["schedule"] = {"cron": cron}
        made = server.post("/source-connections", body)
        if made["auth"]["auth_url"] is not None and not no_wait:
            made = wait_for_consent(server, made)
        show(made, facts, as_json=json)


@commands.command(epilog="Example: wellhead connections authorize CONNECTION_ID")
def authorize(
    connection_id: str,
    no_wait: NoWait = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Ask for consent again: the link was not used in time, or access has ended."""
    from wellhead.app.cli.consent import wait_for_consent
    from wellhead.app.cli.server import connect, segment

    with connect(url, data_dir) as server:
        path = f"/source-connections/{segment(connection_id)}/reinitiate-oauth"
        made = server.post(path)
        if not no_wait:
            made = wait_for_consent(server, made)
        show(made, facts, as_json=json)


@commands.command("show", epilog="Example: wellhead connections show CONNECTION_ID")
def show_one(
    connection_id: str, url: Url = None, data_dir: DataDir = None, json: AsJson = None
) -> None:
    """Show one connection with its last job, its entities, and what it waits for."""
    from wellhead.app.cli.hints import next_steps
    from wellhead.app.cli.server import connect, segment

    with connect(url, data_dir) as server:
        found = server.get(f"/source-connections/{segment(connection_id)}")
        found["next_steps"] = next_steps(server, connection_id, url, data_dir)
        show(found, facts_and_steps, as_json=json)


@commands.command(epilog="Example: wellhead connections run CONNECTION_ID")
def run(
    connection_id: str,
    full: Annotated[bool, typer.Option("--full", help="List everything anew.")] = False,
    confirm_deletes: Annotated[
        int | None, typer.Option(help="Let this many held deletes happen.", min=0)
    ] = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Start a job of a connection; follow it with `wellhead jobs watch`."""
    from wellhead.app.cli.server import connect, segment

    with connect(url, data_dir) as server:
        job = server.post(
            f"/source-connections/{segment(connection_id)}/run",
            force_full_sync=str(full).lower(),
            confirm_deletes=confirm_deletes,
        )
        show(job, lambda one: job_table([one]), as_json=json)


@commands.command(epilog="Example: wellhead connections delete CONNECTION_ID --yes")
def delete(
    connection_id: str,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Delete a connection with everything that it synced."""
    from wellhead.app.cli.server import connect, segment

    with connect(url, data_dir) as server:
        if not yes:
            typer.confirm(f"Delete {connection_id} and its data?", abort=True)
        gone = server.delete(f"/source-connections/{segment(connection_id)}")
        show(gone, lambda one: f"Deleted {one['name']}.", as_json=json)

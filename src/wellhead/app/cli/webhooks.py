"""`wellhead webhooks …`: who is told about events, and what was told."""

from datetime import datetime
from typing import Annotated, Any

import typer

from wellhead.app.cli.options import AsJson, DataDir, Url
from wellhead.app.cli.output import facts, moment, show, table

commands = typer.Typer(help="Webhooks: telling other servers about events.")

SUBSCRIPTIONS = "/webhooks/subscriptions"
DEFAULT_EVENTS = ("sync.completed", "sync.failed")

Subscription = Annotated[str, typer.Argument(metavar="SUBSCRIPTION_ID")]
When = Annotated[
    datetime | None,
    typer.Option(
        help="Local time unless it names a zone.",
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"],
    ),
]


def _path(subscription_id: str, *more: str) -> str:
    from wellhead.app.cli.server import segment

    return "/".join([SUBSCRIPTIONS, segment(subscription_id), *more])


def _table(rows: list[dict[str, Any]]) -> Any:
    if not rows:
        return "Nobody is told about events: see `wellhead webhooks create`."
    return table(
        ["subscription", "url", "events", "health", "created"],
        [
            (
                one["id"],
                one["url"],
                ", ".join(one["filter_types"]),
                "disabled" if one["disabled"] else one["health_status"],
                moment(one["created_at"]),
            )
            for one in rows
        ],
    )


@commands.command("list", epilog="Example: wellhead webhooks list")
def list_all(url: Url = None, data_dir: DataDir = None, json: AsJson = None) -> None:
    """List subscriptions and how their servers have answered lately."""
    from wellhead.app.cli.server import connect

    with connect(url, data_dir) as server:
        show(server.get(SUBSCRIPTIONS), _table, as_json=json)


@commands.command(
    epilog="Example: wellhead webhooks create https://example.com/hooks "
    "--event sync.failed"
)
def create(
    endpoint: Annotated[str, typer.Argument(metavar="URL")],
    event: Annotated[
        list[str] | None,
        typer.Option(
            help="What to tell it of, up to ten of these; sync.completed and "
            "sync.failed if absent."
        ),
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(help="What to sign with; made if absent."),
    ] = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Tell a server about events; shows the secret it verifies them with."""
    from wellhead.app.cli.server import connect

    body = {"url": endpoint, "event_types": event or list(DEFAULT_EVENTS)}
    if secret is not None:
        body["secret"] = secret
    with connect(url, data_dir) as server:
        made = server.post(SUBSCRIPTIONS, body)
        whole = server.get(_path(made["id"]), include_secret=True)
        show({**made, "secret": whole["secret"]}, facts, as_json=json)


@commands.command("show", epilog="Example: wellhead webhooks show SUBSCRIPTION_ID")
def show_one(
    subscription_id: Subscription,
    secret: Annotated[
        bool, typer.Option("--secret", help="Show the secret, too.")
    ] = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Show a subscription with its last attempts."""
    from wellhead.app.cli.server import connect

    with connect(url, data_dir) as server:
        found = server.get(_path(subscription_id), include_secret=secret or None)
        show(found, _detail, as_json=json)


def _detail(one: dict[str, Any]) -> Any:
    from rich.console import Group

    known = {key: value for key, value in one.items() if key != "delivery_attempts"}
    return Group(facts(known), _attempts(one["delivery_attempts"]))


def _attempts(rows: list[dict[str, Any]]) -> Any:
    if not rows:
        return "No attempts yet."
    return table(
        ["attempted", "status", "answer", "message", "said"],
        [
            (
                moment(one["timestamp"]),
                one["status"],
                one["response_status_code"] or "",
                one["message_id"],
                (one["response"] or "")[:60],
            )
            for one in rows
        ],
    )


@commands.command(epilog="Example: wellhead webhooks delete SUBSCRIPTION_ID --yes")
def delete(
    subscription_id: Subscription,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Delete a subscription and the record of its attempts."""
    from wellhead.app.cli.server import connect

    with connect(url, data_dir) as server:
        if not yes:
            found = server.get(_path(subscription_id))
            typer.confirm(f"Delete the subscription of {found['url']}?", abort=True)
        gone = server.delete(_path(subscription_id))
        show(gone, lambda one: f"Deleted {one['id']} ({one['url']}).", as_json=json)


@commands.command(epilog="Example: wellhead webhooks disable SUBSCRIPTION_ID")
def disable(
    subscription_id: Subscription,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Send nothing more; what waits is given up."""
    from wellhead.app.cli.server import connect

    with connect(url, data_dir) as server:
        found = server.patch(_path(subscription_id), {"disabled": True})
        show(found, lambda one: f"Disabled {one['id']} ({one['url']}).", as_json=json)


@commands.command(
    epilog="Example: wellhead webhooks enable SUBSCRIPTION_ID --since 2026-01-31"
)
def enable(
    subscription_id: Subscription,
    since: When = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Send again; with --since also what was missed since then."""
    from wellhead.app.cli.server import connect

    body = {"disabled": False, "recover_since": _stamp(since)}
    with connect(url, data_dir) as server:
        found = server.patch(_path(subscription_id), body)
        show(found, lambda one: f"Enabled {one['id']} ({one['url']}).", as_json=json)


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone().isoformat()


@commands.command(
    epilog="Example: wellhead webhooks recover SUBSCRIPTION_ID --since 2026-01-31"
)
def recover(
    subscription_id: Subscription,
    since: When = None,
    until: When = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Send again what failed or was never sent since then."""
    from wellhead.app.cli.server import CommandError, connect

    if since is None:
        raise CommandError("say from when on, as in --since 2026-01-31")
    body = {"since": _stamp(since), "until": _stamp(until)}
    with connect(url, data_dir) as server:
        task = server.post(_path(subscription_id, "recover"), body)
        show(task, _say_recovered, as_json=json)


def _say_recovered(task: dict[str, Any]) -> str:
    if task["status"] == "running":
        return "The messages are being sent again: see `wellhead webhooks show`."
    return "There is nothing to send again."


@commands.command(epilog="Example: wellhead webhooks messages --event sync.failed")
def messages(
    message_id: Annotated[
        str | None, typer.Argument(help="Show this one, with its attempts.")
    ] = None,
    event: Annotated[list[str] | None, typer.Option(help="Only of this type.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """List what happened, newest first, whether or not anybody is told."""
    from wellhead.app.cli.server import connect, segment

    with connect(url, data_dir) as server:
        if message_id is None:
            found = server.get("/webhooks/messages", event_types=event, limit=limit)
            show(found, _messages, as_json=json)
        else:
            path = f"/webhooks/messages/{segment(message_id)}"
            show(server.get(path, include_attempts=True), _detail, as_json=json)


def _messages(rows: list[dict[str, Any]]) -> Any:
    if not rows:
        return "Nothing has happened yet."
    return table(
        ["message", "when", "event", "about"],
        [
            (
                one["id"],
                moment(one["timestamp"]),
                one["event_type"],
                _about(one["payload"]),
            )
            for one in rows
        ],
    )


def _about(payload: dict[str, Any]) -> str:
    names = ("collection_readable_id", "source_type", "error")
    return " · ".join(str(payload[name]) for name in names if payload.get(name))

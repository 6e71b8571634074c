"""`wellhead entities …`: erasing single entities."""

import json as jsons
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import typer

from wellhead.app.cli.options import AsJson, DataDir, Url
from wellhead.app.cli.output import facts, moment, show, table

commands = typer.Typer(help="Single entities: erase them, let them come back.")

Connection = Annotated[
    str | None, typer.Option("--connection", help="Only of this connection.")
]
Type = Annotated[str | None, typer.Option("--type", help="Only of this entity type.")]


@commands.command(epilog="Example: wellhead entities delete notes letters/anna.md")
def delete(
    collection: str,
    entity_id: Annotated[
        str | None,
        typer.Argument(help="The source's id; `original_entity_id` in searches."),
    ] = None,
    connection: Connection = None,
    entity_type: Type = None,
    allow_return: Annotated[
        bool,
        typer.Option("--allow-return", help="Let the next full sync bring it back."),
    ] = False,
    again: Annotated[
        Path | None,
        typer.Option(help="Repeat the erasures listed by `entities erased --json`."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Erase an entity for good.

    It is gone from search at once, and from the index's files about 12 minutes later
    while a worker runs. It is not synced again, although its source may still have it.
    Backups made before still hold it: after a restore, repeat the erasures with
    --again, from a list that you keep outside of the backup.
    """
    from wellhead.app.cli.server import connect, get_collection, segment

    if (entity_id is None) == (again is None):
        raise typer.BadParameter("give either an entity id or --again")
    if again is not None and (connection or entity_type or allow_return):
        raise typer.BadParameter("--again takes everything from its file")
    asked = [{"entity_id": entity_id, "source_connection_id": connection}]
    asked[0] |= {"entity_type": entity_type, "allow_return": _flag(yes=allow_return)}
    if again is not None:
        asked = _keys_in(again)
    with connect(url, data_dir) as server:
        found = get_collection(server, collection)
        path = f"/collections/{segment(found['readable_id'])}/entities"
        if not yes:
            what = entity_id or f"{len(asked)} entities"
            typer.confirm(f"Erase {what} of {found['readable_id']}?", abort=True)
        gone, gone_before = _erase(server, path, asked, is_repeated=again is not None)
        show(gone, _erased_table, as_json=json)
    for one in gone_before:
        sys.stderr.write(
            f"nothing to erase of {one['entity_key']}: its connection "
            f"{one['source_connection_id']} is not in this collection\n"
        )


def _erase(
    server: Any, path: str, asked: list[dict[str, Any]], *, is_repeated: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what was erased, and what a repetition need not erase.

    A backup knows nothing of connections that are younger than itself; such an entry
    must not keep the rest of the list from being erased.
    """
    from wellhead.app.cli.server import RefusedError

    gone, gone_before = [], []
    for one in asked:
        try:
            gone.append(server.delete(path, **one))
        except RefusedError as error:
            if not is_repeated or error.status != HTTPStatus.NOT_FOUND:
                raise
            gone_before.append(one)
    return gone, gone_before


def _flag(*, yes: bool) -> str | None:
    return "true" if yes else None


def _keys_in(again: Path) -> list[dict[str, Any]]:
    """Read what `entities erased --json` printed."""
    names = ("source_connection_id", "entity_type", "entity_key")
    try:
        listed = jsons.loads(again.expanduser().read_text())
        rows = listed if isinstance(listed, list) else [listed]
        return [{name: str(one[name]) for name in names} for one in rows]
    except OSError as error:
        raise typer.BadParameter(f"{again} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise typer.BadParameter(
            f"{again} is not what `wellhead entities erased --json` prints"
        ) from error


def _erased_table(gone: list[dict[str, Any]]) -> Any:
    return table(
        ["erased", "connection", "type", "was stored", "may return"],
        [
            (
                one["entity_key"],
                one["source_connection_id"],
                one["entity_type"],
                "yes" if one["was_stored"] else "no",
                "yes" if one["may_return"] else "no",
            )
            for one in gone
        ],
    )


@commands.command(epilog="Example: wellhead entities allow notes letters/anna.md")
def allow(
    collection: str,
    entity_id: str,
    connection: Connection = None,
    entity_type: Type = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Let an erased entity be synced again, by the next job of its connection."""
    from wellhead.app.cli.server import connect, get_collection, segment

    with connect(url, data_dir) as server:
        readable_id = get_collection(server, collection)["readable_id"]
        allowed = server.delete(
            f"/collections/{segment(readable_id)}/entities/erased",
            entity_id=entity_id,
            source_connection_id=connection,
            entity_type=entity_type,
        )
        show(allowed, facts, as_json=json)


@commands.command(epilog="Example: wellhead entities erased notes --json > erased.json")
def erased(
    collection: str, url: Url = None, data_dir: DataDir = None, json: AsJson = None
) -> None:
    """List what was erased and is not synced again: keys, no names."""
    from wellhead.app.cli.server import connect, get_collection, segment

    with connect(url, data_dir) as server:
        readable_id = get_collection(server, collection)["readable_id"]
        rows = list(server.all(f"/collections/{segment(readable_id)}/entities/erased"))
        show(rows, _tombstone_table, as_json=json)


def _tombstone_table(rows: list[dict[str, Any]]) -> Any:
    return table(
        ["erased", "connection", "type", "when"],
        [
            (
                one["entity_key"],
                one["source_connection_id"],
                one["entity_type"],
                moment(one["erased_at"]),
            )
            for one in rows
        ],
    )

"""`wellhead keys …`: who may talk to the server."""

from pathlib import Path
from typing import Annotated, Any

import typer

from wellhead.app.cli.options import AsJson, DataDir, Url
from wellhead.app.cli.output import moment, show, table

DAYS = 90

commands = typer.Typer(help="API keys: who may talk to the server.")


@commands.command("list", epilog="Example: wellhead keys list")
def list_all(url: Url = None, data_dir: DataDir = None, json: AsJson = None) -> None:
    """List API keys; only their first characters are kept."""
    from wellhead.app.cli.server import connect

    with connect(url, data_dir) as server:
        show(
            list(server.all("/api-keys")),
            lambda rows: table(
                ["id", "key", "name", "created", "expires", "last used"],
                [
                    (
                        key["id"],
                        f"{key['prefix']}…",
                        key["name"],
                        moment(key["created_at"]),
                        moment(key["expiration_date"]) or "never",
                        moment(key["last_used_date"]) or "never",
                    )
                    for key in rows
                ],
            ),
            as_json=json,
        )


@commands.command(epilog="Example: wellhead keys create --name ci --days 30")
def create(
    name: Annotated[str, typer.Option(help="What it is for.")] = "API key",
    days: Annotated[
        int | None,
        typer.Option(
            "--expires-in-days",
            "--days",
            min=1,
            max=365,
            help="How long it lives: 90 days if not said, for ever with --local.",
            show_default=False,
        ),
    ] = None,
    local: Annotated[
        bool,
        typer.Option(
            "--local",
            help="Make it in the database itself, without a key: for when the key file "
            "is lost. It is written to <data-dir>/api_key unless a key that works is "
            "there.",
        ),
    ] = False,
    organization: Annotated[
        str | None,
        typer.Option(
            help="With --local: whom it speaks for, by name or id; a new name makes a "
            "new organization. The first organization if absent.",
        ),
    ] = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Make a key; it is shown only now."""
    from wellhead.app.cli.server import CommandError, connect

    if local:
        data = _create_in_database(name, days, organization, data_dir)
    elif organization is not None:
        raise CommandError(
            "a key makes keys of its own organization only: add --local to make one "
            "for another, on the machine of the server"
        )
    else:
        with connect(url, data_dir) as server:
            body = {"name": name, "expiration_days": days or DAYS}
            data = server.post("/api-keys", body)
    show(data, _shown_once, as_json=json)


def _shown_once(key: dict[str, Any]) -> str:
    file = key.get("file")
    kept = "shown only now" if file is None else f"also in {file}"
    return f"{key['decrypted_key']}  ({kept})"


def _create_in_database(
    name: str, days: int | None, organization: str | None, data_dir: Path | None
) -> dict[str, Any]:
    from wellhead.app.cli.local import ask_database
    from wellhead.app.home import Home
    from wellhead.app.settings import load
    from wellhead.services import keys, organizations
    from wellhead.services.parts import Parts

    home = Home(load(data_dir=data_dir).data_dir)

    async def make(parts: Parts) -> dict[str, Any]:
        new = await keys.create_key_for(parts, organization, name=name, life_days=days)
        first = await organizations.ensure_organization(parts)
        kept = home.read_key()
        is_lost = new.key.organization_id == first.id and (
            kept is None or not await keys.is_usable(parts, kept, first.id)
        )
        if is_lost:
            home.write_key(new.plain)
        return {
            "id": str(new.key.id),
            "organization_id": str(new.key.organization_id),
            "name": name,
            "decrypted_key": new.plain,
            "file": str(home.key_file) if is_lost else None,
        }

    return ask_database(data_dir, make)


@commands.command(epilog="Example: wellhead keys rotate KEY_ID")
def rotate(
    key_id: str, url: Url = None, data_dir: DataDir = None, json: AsJson = None
) -> None:
    """Make a successor of a key; the old one works for another day."""
    from wellhead.app.cli.server import connect, segment

    with connect(url, data_dir) as server:
        data = server.post(f"/api-keys/{segment(key_id)}/rotate")
        show(data, _shown_once, as_json=json)


@commands.command(epilog="Example: wellhead keys revoke KEY_ID")
def revoke(
    key_id: str, url: Url = None, data_dir: DataDir = None, json: AsJson = None
) -> None:
    """Refuse a key from now on."""
    from wellhead.app.cli.server import connect

    with connect(url, data_dir) as server:
        gone = server.delete("/api-keys", id=key_id)
        show(
            gone, lambda key: f"Revoked {key['prefix']}… ({key['name']})", as_json=json
        )

"""`wellhead keys …`: who may talk to the server."""

from typing import Annotated, Any

import typer

from wellhead.app.cli.options import AsJson, DataDir, Url
from wellhead.app.cli.output import moment, show, table

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
                        key["decrypted_key"],
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
    days: Annotated[int, typer.Option(min=1, max=365, help="How long it lives.")] = 90,
    local: Annotated[
        bool,
        typer.Option(
            "--local",
            help="Make it in the database itself, one that never expires, and write "
            "it to <data-dir>/api_key: for when the key file is lost.",
        ),
    ] = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Make a key; it is shown only now."""
    from wellhead.app.cli.server import connect

    if local:
        data = _create_in_database(name, data_dir)
    else:
        with connect(url, data_dir) as server:
            body = {"name": name, "expiration_days": days}
            data = server.post("/api-keys", body)
    show(data, lambda key: key["decrypted_key"], as_json=json)


def _create_in_database(name: str, data_dir: Any) -> dict[str, Any]:
    import asyncio

    from wellhead.app.home import Home
    from wellhead.app.local import database
    from wellhead.app.processes import database_url
    from wellhead.app.settings import load
    from wellhead.app.wiring import open_parts
    from wellhead.services import keys
    from wellhead.store import migrate

    async def make() -> keys.NewKey:
        async with open_parts(settings, database_url(settings)) as parts:
            organization = await keys.ensure_organization(parts)
            return await keys.create_key(
                parts, organization.id, name=name, life_days=None
            )

    with database(load(data_dir=data_dir)) as settings:
        migrate.upgrade(database_url(settings))
        new = asyncio.run(make())
    home = Home(settings.data_dir)
    home.write_key(new.plain)
    return {
        "id": str(new.key.id),
        "name": name,
        "decrypted_key": new.plain,
        "file": str(home.key_file),
    }


@commands.command(epilog="Example: wellhead keys revoke KEY_ID")
def revoke(
    key_id: str, url: Url = None, data_dir: DataDir = None, json: AsJson = None
) -> None:
    """Refuse a key from now on."""
    from wellhead.app.cli.server import connect

    with connect(url, data_dir) as server:
        gone = server.delete("/api-keys", id=key_id)
        show(gone, lambda key: f"Revoked {key['decrypted_key']}", as_json=json)

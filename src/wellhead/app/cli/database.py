"""`wellhead db …`: the database itself."""

import typer

from wellhead.app.cli.options import AsJson, DataDir
from wellhead.app.cli.output import show

commands = typer.Typer(help="The database itself.")


@commands.callback()
def _group() -> None:
    """The database itself."""


@commands.command(epilog="Example: wellhead db upgrade")
def upgrade(data_dir: DataDir = None, json: AsJson = None) -> None:
    """Bring the schema up to date; every start does that by itself."""
    from wellhead.app.local import database
    from wellhead.app.processes import database_url
    from wellhead.app.settings import load
    from wellhead.store import migrate

    with database(load(data_dir=data_dir)) as settings:
        url = database_url(settings)
        before = migrate.current(url)
        migrate.upgrade(url)
        data = {"before": before, "now": migrate.current(url)}
    show(data, lambda told: f"The schema is at {told['now']}.", as_json=json)

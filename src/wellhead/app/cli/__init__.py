"""The command line."""

import sys

import typer

from wellhead.app.cli import (
    audit,
    backup,
    collections,
    connections,
    database,
    doctor,
    entities,
    failures,
    jobs,
    keys,
    organizations,
    search,
    serve,
    sources,
    sync,
    version,
    webhooks,
)
from wellhead.domain.errors import WellheadError


def make_app() -> typer.Typer:
    """Return the whole command tree."""
    app = typer.Typer(
        name="wellhead",
        help="Sync apps, databases and files into collections, and search them.",
        epilog="Start with: wellhead sync ~/notes --collection notes",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for commands in (serve, sync, search, doctor, audit, backup, version):
        commands.add_to(app)
    for group, name in (
        (jobs, "jobs"),
        (failures, "failures"),
        (collections, "collections"),
        (connections, "connections"),
        (entities, "entities"),
        (sources, "sources"),
        (webhooks, "webhooks"),
        (keys, "keys"),
        (organizations, "organizations"),
        (database, "db"),
    ):
        app.add_typer(group.commands, name=name, no_args_is_help=True)
    return app


def main() -> None:
    """Run one command: what goes wrong is one line on stderr and exit status 1."""
    try:
        make_app()()
    except WellheadError as error:
        sys.stderr.write(f"wellhead: {error}\n")
        sys.exit(1)

"""The command line."""

import sys
from importlib import import_module

import typer

from wellhead.app.cli.output import LOG_WIDTH
from wellhead.domain.errors import WellheadError

COMMANDS = {
    "serve": "serve",
    "worker": "serve",
    "sync": "sync",
    "search": "search",
    "mcp": "mcp",
    "doctor": "doctor",
    "reindex": "reindex",
    "audit": "audit",
    "backup": "backup",
    "restore": "backup",
    "version": "version",
}
"""The module that adds each command, in the order of the help."""
GROUPS = {
    "jobs": "jobs",
    "failures": "failures",
    "collections": "collections",
    "connections": "connections",
    "entities": "entities",
    "sources": "sources",
    "webhooks": "webhooks",
    "keys": "keys",
    "organizations": "organizations",
    "db": "database",
}
"""The module of each group of commands."""


def make_app(asked: str = "") -> typer.Typer:
    """Return the command tree, or of it no more than the command that is asked for.

    To load all of them takes longer than most commands do.
    """
    app = typer.Typer(
        name="wellhead",
        help="Sync apps, databases and files into collections, and search them.",
        epilog="Start with: wellhead sync ~/notes --collection notes",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={
            "help_option_names": ["-h", "--help"],
            "terminal_width": None if sys.stdout.isatty() else LOG_WIDTH,
            "max_content_width": LOG_WIDTH,
        },
        rich_markup_mode=None,  # to load Rich takes longer than all the rest of a help
    )
    app.callback()(_whatever_follows)
    is_known = asked in COMMANDS or asked in GROUPS
    for module in dict.fromkeys(COMMANDS.values()):
        if not is_known or COMMANDS.get(asked) == module:
            import_module(f"{__name__}.{module}").add_to(app)
    for name, module in GROUPS.items():
        if not is_known or asked == name:
            group = import_module(f"{__name__}.{module}").commands
            app.add_typer(group, name=name, no_args_is_help=True)
    return app


def _whatever_follows() -> None:
    """A command stays a word to be given, even where it is the only one loaded."""


def main() -> None:
    """Run one command: what goes wrong is one line on stderr and exit status 1."""
    try:
        make_app(*sys.argv[1:2])()
    except WellheadError as error:
        sys.stderr.write(f"wellhead: {error}\n")
        sys.exit(1)

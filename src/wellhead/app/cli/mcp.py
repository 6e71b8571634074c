"""`wellhead mcp`: collections as tools of an agent, over stdin and stdout."""

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from wellhead.app.cli.options import (
    AsGroups,
    AsUser,
    DataDir,
    Url,
    principal_headers,
)


class Agent(StrEnum):
    """Whose configuration is printed; what is not among them is mostly generic."""

    CLAUDE_CODE = "claude-code"
    CLAUDE_DESKTOP = "claude-desktop"
    CURSOR = "cursor"
    VSCODE = "vscode"
    GENERIC = "generic"


PLACES = {
    Agent.CLAUDE_CODE: ".mcp.json of a project",
    Agent.CLAUDE_DESKTOP: "claude_desktop_config.json (Settings, Developer)",
    Agent.CURSOR: "~/.cursor/mcp.json, or .cursor/mcp.json of a project",
    Agent.VSCODE: ".vscode/mcp.json of a project",
    Agent.GENERIC: "your agent's list of MCP servers",
}


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Example: wellhead mcp --print-config claude-code > .mcp.json")(
        mcp
    )


def mcp(
    print_config: Annotated[
        Agent | None,
        typer.Option(help="Print what to put into this agent's configuration."),
    ] = None,
    as_user: AsUser = None,
    as_groups: AsGroups = None,
    url: Url = None,
    data_dir: DataDir = None,
) -> None:
    """Give an agent tools to search collections and to read what is in them.

    Agents start this command themselves and talk to it over stdin and stdout, by the
    Model Context Protocol. What to put into their configuration: --print-config.

    It carries messages to the running server, or starts one for as long as it runs.
    An agent that speaks HTTP needs no command: the server answers at /mcp, with an API
    key.

    With --as-user and --as-group the agent sees only what they may see.
    """
    if print_config is not None:
        behalf = [] if as_user is None else ["--as-user", as_user]
        for one in as_groups or ():
            behalf += ["--as-group", one]
        _print(print_config, behalf, url, data_dir)
        return
    from wellhead.app.cli.mcp_pipe import run

    run(url, data_dir, principal_headers(as_user, as_groups or ()))


def _print(
    agent: Agent, behalf: list[str], url: str | None, data_dir: Path | None
) -> None:
    import json

    from wellhead.app.settings import Settings, load

    settings = load(url=url, data_dir=data_dir)
    usual = Settings.model_fields["data_dir"].get_default(call_default_factory=True)
    where = None if settings.data_dir == usual else settings.data_dir
    config = config_of(agent, _command(), settings.url, where, behalf)
    sys.stdout.write(json.dumps(config, indent=2) + "\n")
    sys.stderr.write(f"This belongs into {PLACES[agent]}.\n")


def config_of(
    agent: Agent,
    command: list[str],
    url: str | None,
    data_dir: Path | None,
    behalf: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the configuration; an agent has not the environment of a shell."""
    first, *words = command
    server: dict[str, Any] = {"command": first, "args": [*words, "mcp", *behalf]}
    if url is not None:
        server["args"] += ["--url", url]
        server["env"] = {"WELLHEAD_API_KEY": "an API key of that server"}
    if data_dir is not None:
        server["args"] += ["--data-dir", str(data_dir.expanduser().resolve())]
    if agent in (Agent.VSCODE, Agent.CLAUDE_CODE):
        server = {"type": "stdio", **server}
    return {"servers" if agent is Agent.VSCODE else "mcpServers": {"wellhead": server}}


def _command() -> list[str]:
    """Return how to run this program from anywhere: agents know no virtual one."""
    script = Path(sys.argv[0])
    if script.name == "wellhead" and script.exists():
        return [str(script.absolute())]
    return [sys.executable, "-m", "wellhead.app.cli"]

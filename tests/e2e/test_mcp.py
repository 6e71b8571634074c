"""An agent that starts `wellhead mcp`, as agents do."""

import json
import sys
from pathlib import Path
from typing import Any

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

Program = Any  # the fixture's own class


async def test_an_agent_searches_by_a_command_that_starts_what_it_needs(
    program: Program, tmp_path: Path
) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "heron.md").write_text("The heron waits at the weir.\n")
    printed = program.run("mcp", "--print-config", "generic")
    server = json.loads(printed.stdout)["mcpServers"]["wellhead"]
    assert server["command"] == sys.executable
    parameters = StdioServerParameters(**server, env=program.environment)

    async with (
        stdio_client(parameters) as streams,
        ClientSession(*streams) as session,
    ):
        begun = await session.initialize()
        synced = program.ask("sync", str(tmp_path / "notes"), "-c", "birds")
        found = await session.call_tool(
            "search",
            {"collection": synced["collection"], "query": "where is the heron?"},
        )
        assert found.structuredContent is not None, found
        [hit] = found.structuredContent["results"]
        read = await session.call_tool("read_entity", {"uri": hit["uri"]})
        wrong = await session.call_tool("search", {"collection": "none", "query": "q"})

    assert begun.serverInfo.name == "wellhead"
    assert hit["name"] == "heron.md"
    assert read.structuredContent is not None
    assert read.structuredContent["content"] == "The heron waits at the weir."
    assert wrong.isError
    program.until(lambda: not program.processes(), "what it started ends with it")

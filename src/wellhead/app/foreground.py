"""A server in the foreground: until Ctrl-C or SIGTERM."""

import asyncio
import json
import signal
import sys

from wellhead.app import logs
from wellhead.app.settings import Settings
from wellhead.app.supervisor import Started, serve


def run(settings: Settings, *, as_json: bool) -> None:
    """Serve, and say where once it answers. Raises StartError."""
    logs.configure(settings.level, secrets=settings.secrets)
    asyncio.run(_run(settings, as_json=as_json))


async def _run(settings: Settings, *, as_json: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    def ready(started: Started) -> None:
        sys.stdout.write(_as_json(started) if as_json else _for_people(started))
        sys.stdout.flush()

    await serve(settings, stop=stop, ready=ready)


def _as_json(started: Started) -> str:
    data = {
        "url": started.url,
        "data_dir": str(started.home.path),
        "api_key_file": str(started.home.key_file),
    }
    if started.new_key is not None:
        data["new_api_key"] = started.new_key
    return json.dumps(data) + "\n"


def _for_people(started: Started) -> str:
    lines = [
        f"Wellhead is ready at {started.url}",
        f"  console  {started.url}/console",
        f"  data     {started.home.path}",
        f"  API key  {started.home.key_file}",
    ]
    if started.new_key is not None:
        lines.append(f"           {started.new_key}  (shown only now)")
    return "\n".join([*lines, "Ctrl-C stops it.", ""])

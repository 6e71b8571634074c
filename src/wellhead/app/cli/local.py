"""What commands do in the database itself, on its own machine and without a key."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from wellhead.app.local import database
from wellhead.app.processes import database_url
from wellhead.app.settings import Settings, load
from wellhead.app.wiring import open_parts
from wellhead.domain.audit import COMMAND_LINE
from wellhead.services.parts import Parts
from wellhead.store import migrate

Answer = TypeVar("Answer")


def ask_database(
    data_dir: Path | None, ask: Callable[[Parts], Awaitable[Answer]]
) -> Answer:
    """Ask with parts of our own, whether a server runs or not. Raises StartError."""
    with database(load(data_dir=data_dir)) as settings:
        migrate.upgrade(database_url(settings))
        return asyncio.run(_ask(settings, ask))


async def _ask(settings: Settings, ask: Callable[[Parts], Awaitable[Answer]]) -> Answer:
    async with open_parts(settings, database_url(settings)) as parts:
        return await ask(replace(parts, actor=COMMAND_LINE))

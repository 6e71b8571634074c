"""A process of its own that wants another access token: tests start several at once."""

import asyncio
import sys
from uuid import UUID

from tests.authorization_server import CLIENT, AuthorizationServer
from tests.bench import SystemClock
from tests.oauth_sources import notes_source

from wellhead.domain.oauth import OAuthPolicy
from wellhead.embed.null import NullEmbedder
from wellhead.engine.procrastinate import JobEngine
from wellhead.services.parts import Parts
from wellhead.services.tokens import open_source
from wellhead.sources.registry import Registry
from wellhead.store import connections
from wellhead.store.database import connect
from wellhead.store.reading import Reader
from wellhead.store.secrets import Cipher


async def main(url: str, key: str, connection_id: str, port: str) -> None:
    """Say "ready", wait for a line, then renew and say which token came."""
    db = connect(url)
    source = notes_source(AuthorizationServer(port=int(port)))
    parts = Parts(
        db=db,
        reads=Reader(url),
        engine=JobEngine.at(url),
        index=None,  # type: ignore[arg-type]  # nothing is written here
        embedder=NullEmbedder(),
        sources=Registry({"tracker": source}),
        cipher=Cipher([key]),
        clock=SystemClock(),
        oauth=OAuthPolicy(clients={"tracker": CLIENT}),
    )
    async with db.connect() as connection:
        about = await connections.get(connection, UUID(connection_id))
        sealed = await connections.ciphertext(connection, UUID(connection_id))
    assert about is not None
    opened = open_source(parts, about, sealed)
    rejected = await opened.tokens.current()
    print("ready", flush=True)  # noqa: T201  # read by the test
    await asyncio.to_thread(sys.stdin.readline)
    found = await asyncio.gather(*(opened.tokens.refresh(rejected) for _ in range(5)))
    print(*sorted(set(found)), flush=True)  # noqa: T201  # read by the test
    await db.dispose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""CocoIndex: files to rows of SQLite with vectors, the fastest way it was seen to run.

One component a file, which reads it, cuts it, embeds all its chunks at once and
declares its rows. Its LanceDB target deletes row by row, and was slower in each step.
SQLite searches no vectors unless it may load an extension, which not every Python can:
here they are all held in memory and compared by NumPy, which costs less.
"""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import cocoindex as coco  # type: ignore[import-not-found]
import numpy as np
from cocoindex.connectors import localfs, sqlite  # type: ignore[import-not-found]

from bench import task
from wellhead.embed.null import NullEmbedder

DB = coco.ContextKey("bench_db")
COLUMNS = {
    "id": sqlite.ColumnDef("INTEGER", nullable=False),
    "path": sqlite.ColumnDef("TEXT", nullable=False),
    "text": sqlite.ColumnDef("TEXT", nullable=False),
    "vector": sqlite.ColumnDef("BLOB", nullable=False),
}

TEXT = "SELECT text FROM chunk WHERE id = ?"


@coco.fn(memo=True)  # type: ignore[untyped-decorator]
async def add_file(file: Any, table: Any) -> None:
    path = file.file_path.path.as_posix()
    chunks = list(task.cut((await file.read()).decode("utf-8", "replace")))
    if not chunks:
        return
    vectors = np.asarray(await NullEmbedder().embed(chunks))
    for ordinal, (text, vector) in enumerate(zip(chunks, vectors, strict=True)):
        table.declare_row(
            row={
                "id": _number(path, ordinal),
                "path": path,
                "text": text,
                "vector": vector.tobytes(),
            }
        )


@coco.fn  # type: ignore[untyped-decorator]
async def add_all(folder: Path) -> None:
    schema = sqlite.TableSchema(COLUMNS, primary_key=["id"])
    table = await sqlite.mount_table_target(DB, "chunk", schema)
    files = localfs.walk_dir(folder, recursive=True)
    await coco.mount_each(add_file, files.items(), table)


class CocoIndex(task.Contender):
    def __init__(self, corpus: Path, app: Any, store: Path) -> None:
        self._corpus, self._app, self._store = corpus, app, store
        self._ids: list[int] = []
        self._vectors = np.empty((0, 384), np.float32)

    async def sync(self) -> None:
        await self._app.update()

    async def contents(self) -> task.Pairs:
        with sqlite3.connect(self._store) as rows:
            return [
                (str(Path(path).relative_to(self._corpus)), text)
                for path, text in rows.execute("SELECT path, text FROM chunk")
            ]

    async def upkeep(self) -> None:
        with sqlite3.connect(self._store) as rows:
            found = rows.execute("SELECT id, vector FROM chunk").fetchall()
        self._ids = [row[0] for row in found]
        vectors = b"".join(row[1] for row in found)
        self._vectors = np.frombuffer(vectors, np.float32).reshape(len(found), -1)

    async def search(self, text: str) -> list[str]:
        vector = np.asarray(await NullEmbedder().embed_query(text))[0]
        scores = self._vectors @ vector
        best = np.argpartition(-scores, task.TOP)[: task.TOP]
        with sqlite3.connect(self._store) as rows:
            return [
                rows.execute(TEXT, (self._ids[at],)).fetchone()[0]
                for at in best[np.argsort(-scores[best])]
            ]


@asynccontextmanager
async def opened(corpus: Path, work: Path) -> AsyncIterator[CocoIndex]:
    home = work / "cocoindex"
    home.mkdir(exist_ok=True)

    with sqlite.managed_connection(home / "store.db", load_vec=False) as connection:
        provided = coco.ContextProvider()
        provided.provide(DB, connection)
        environment = coco.Environment(
            coco.Settings(db_path=home / "state"), context_provider=provided
        )
        config = coco.AppConfig(name="bench", environment=environment)
        app = coco.App(config, add_all, folder=corpus)
        yield CocoIndex(corpus, app, home / "store.db")


def _number(path: str, ordinal: int) -> int:
    digest = blake2b(f"{path}#{ordinal}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


if __name__ == "__main__":
    task.main(opened)

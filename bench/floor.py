"""The floor: scan, hash, cut, embed and write, with no promise at all."""

import hashlib
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]

from bench import task
from wellhead.embed.null import NullEmbedder

APPEND = 20_000
"""Rows of one append: more cost no less, and hold memory."""


class Floor(task.Contender):
    """A Lance table and what each file's stamp was when it was last read."""

    def __init__(
        self, corpus: Path, state: sqlite3.Connection, table: lancedb.AsyncTable
    ) -> None:
        self._corpus, self._state, self._table = corpus, state, table
        self._embedder = NullEmbedder()

    async def sync(self) -> None:
        known = dict(self._state.execute("SELECT path, stamp FROM file"))
        listed = _scan(str(self._corpus), {})
        changed = [path for path, stamp in listed.items() if known.get(path) != stamp]
        gone = [path for path in known if path not in listed]
        stale = [path for path in changed if path in known] + gone
        if stale:
            names = ", ".join("'" + path.replace("'", "''") + "'" for path in stale)
            await self._table.delete(f"path IN ({names})")
        ahead = iter(changed)
        while (rows := await self._rows(ahead)).num_rows:
            await self._table.add(rows)
        self._state.executemany(
            "DELETE FROM file WHERE path = ?", [(path,) for path in gone]
        )
        self._state.executemany(
            "INSERT OR REPLACE INTO file VALUES (?, ?)",
            [(path, listed[path]) for path in changed],
        )
        self._state.commit()

    async def contents(self) -> task.Pairs:
        rows = await self._table.query().select(["path", "text"]).to_arrow()
        root = len(str(self._corpus)) + 1
        paths = (path[root:] for path in rows["path"].to_pylist())
        return zip(paths, rows["text"].to_pylist(), strict=True)

    async def search(self, text: str) -> list[str]:
        vector = np.frombuffer(await self._embedder.embed_query(text), np.float32)
        query = self._table.query().nearest_to(vector)
        found = await query.limit(task.TOP).select(["text", "_distance"]).to_arrow()
        return [str(one) for one in found["text"].to_pylist()]

    async def _rows(self, paths: Iterator[str]) -> pa.Table:
        """Read on until there are rows enough for one append."""
        names, digests, texts = [], [], []
        for path in paths:
            with open(path, "rb") as file:  # noqa: ASYNC230, PTH123  # one task, in haste
                data = file.read()
            digest = hashlib.blake2b(data, digest_size=16).digest()
            pieces = list(task.cut(data.decode("utf-8", "replace")))
            names += [path] * len(pieces)
            digests += [digest] * len(pieces)
            texts += pieces
            if len(texts) >= APPEND:
                break
        vectors = np.empty(0, np.float32)
        if texts:
            vectors = np.frombuffer(await self._embedder.embed(texts), np.float32)
        return pa.table(
            {
                "path": names,
                "digest": pa.array(digests, pa.binary(16)),
                "text": texts,
                "vector": pa.FixedSizeListArray.from_arrays(vectors.ravel(), 384),
            }
        )


@asynccontextmanager
async def opened(corpus: Path, work: Path) -> AsyncIterator[Floor]:
    store = work / "floor"
    store.mkdir(exist_ok=True)
    state = sqlite3.connect(store / "state.db")
    state.execute("CREATE TABLE IF NOT EXISTS file (path TEXT PRIMARY KEY, stamp TEXT)")
    connection = await lancedb.connect_async(store / "index")
    schema = pa.schema(
        [
            ("path", pa.string()),
            ("digest", pa.binary(16)),
            ("text", pa.string()),
            ("vector", pa.list_(pa.float32(), 384)),
        ]
    )
    table = await connection.create_table("chunk", schema=schema, exist_ok=True)
    yield Floor(corpus, state, table)
    table.close()  # type: ignore[no-untyped-call]
    state.close()


def _scan(folder: str, found: dict[str, str]) -> dict[str, str]:
    """Add each file's stamp: when it was changed, and its size."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _scan(entry.path, found)
            else:
                status = entry.stat()
                found[entry.path] = f"{status.st_mtime_ns}-{status.st_size}"
    return found


if __name__ == "__main__":
    task.main(opened)

"""The floor: scan, hash, split, embed and write, with no promise at all."""

import hashlib
import os
import sqlite3
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]

from wellhead.embed.null import NullEmbedder

CHUNK_CHARACTERS = 700


async def run(corpus: Path, store: Path) -> int:
    """Bring a bare store up to the corpus; returns how many files changed."""
    state = sqlite3.connect(store / "state.db")
    state.execute("CREATE TABLE IF NOT EXISTS file (path TEXT PRIMARY KEY, stamp TEXT)")
    known = dict(state.execute("SELECT path, stamp FROM file"))
    listed = {path: _stamp(path) for path in _scan(str(corpus))}
    changed = [path for path, stamp in listed.items() if known.get(path) != stamp]
    gone = [path for path in known if path not in listed]
    table = await _table(store)
    stale = [path for path in changed if path in known] + gone
    if stale:
        names = ", ".join("'" + path.replace("'", "''") + "'" for path in stale)
        await table.delete(f"path IN ({names})")
    if changed:
        await table.add(await _rows(changed))
    state.executemany("DELETE FROM file WHERE path = ?", [(path,) for path in gone])
    state.executemany(
        "INSERT OR REPLACE INTO file VALUES (?, ?)",
        [(path, listed[path]) for path in changed],
    )
    state.commit()
    state.close()
    table.close()  # type: ignore[no-untyped-call]
    return len(changed)


def _scan(folder: str) -> list[str]:
    found: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                found += _scan(entry.path)
            else:
                found.append(entry.path)
    return found


def _read(path: str) -> bytes:
    return Path(path).read_bytes()


def _stamp(path: str) -> str:
    status = Path(path).stat()
    return f"{status.st_mtime_ns}-{status.st_size}"


async def _table(store: Path) -> lancedb.AsyncTable:
    connection = await lancedb.connect_async(store / "index")
    schema = pa.schema(
        [
            ("path", pa.string()),
            ("digest", pa.binary(16)),
            ("text", pa.string()),
            ("vector", pa.list_(pa.float32(), 384)),
        ]
    )
    return await connection.create_table("chunk", schema=schema, exist_ok=True)


async def _rows(paths: list[str]) -> pa.Table:
    names, digests, texts = [], [], []
    for path in paths:
        data = _read(path)
        digest = hashlib.blake2b(data, digest_size=16).digest()
        text = data.decode("utf-8", "replace")
        for start in range(0, len(text), CHUNK_CHARACTERS):
            names.append(path)
            digests.append(digest)
            texts.append(text[start : start + CHUNK_CHARACTERS])
    vectors = np.frombuffer(await NullEmbedder().embed(texts), dtype=np.float32)
    return pa.table(
        {
            "path": names,
            "digest": pa.array(digests, pa.binary(16)),
            "text": texts,
            "vector": pa.FixedSizeListArray.from_arrays(vectors.ravel(), 384),
        }
    )

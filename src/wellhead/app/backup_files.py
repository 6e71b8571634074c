"""What a backup looks like on disk: a manifest, and files with their checksums."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from pydantic import TypeAdapter, ValidationError

from wellhead.domain.errors import WellheadError
from wellhead.store.ledger_copy import CollectionFacts, TableCopy

FORMAT = 1
MANIFEST = "manifest.json"
MANIFEST_SUM = "manifest.json.blake2b"
SECRET_KEY = "secret_key"  # noqa: S105  # a file's name
KEY_FILE = "api_key"
INDEX = "index"
LEDGER = "ledger"
_BLOCK = 1 << 20

Tell = Callable[[str, int, int], None]
"""Told what is done, how much of it, and of how much; 0 of 0 where nobody knows."""


class BackupError(WellheadError):
    """A backup cannot be made, read or restored; says what to do about it."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a backup, its path relative to the backup."""

    path: str
    size: int
    blake2b: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds."""

    format: int
    id: str
    created_at: datetime
    wellhead: str
    postgresql: str
    schema_revision: str
    embedder: str
    database_bytes: int
    tables: list[TableCopy]
    sequences: dict[str, int]
    collections: list[CollectionFacts]
    secret_keys: list[str]
    """Fingerprints of the keys that encrypt credentials, the current one first."""

    has_secret_key: bool
    files: list[StoredFile]

    def size(self, *, of: str = "") -> int:
        return sum(file.size for file in self.files if file.path.startswith(of))


def fingerprint(key: str) -> str:
    """Tell keys apart without giving them away: they are random and long."""
    digest = hashlib.blake2b(key.encode(), digest_size=8, person=b"wellhead key")
    return digest.hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    content = TypeAdapter(Manifest).dump_json(manifest, indent=1)
    write_private(folder / MANIFEST, content)
    digest = hashlib.blake2b(content, digest_size=32).hexdigest()
    write_private(folder / MANIFEST_SUM, f"{digest}\n".encode())


def read_manifest(folder: Path) -> Manifest:
    """Raises BackupError where there is no whole manifest that we know to read."""
    try:
        content = (folder / MANIFEST).read_bytes()
        digest = (folder / MANIFEST_SUM).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BackupError(f"{folder} holds no whole backup ({error})") from error
    if hashlib.blake2b(content, digest_size=32).hexdigest() != digest:
        raise BackupError(f"{folder / MANIFEST} is damaged: use another backup")
    found: Any = json.loads(content)
    if found.get("format") != FORMAT:
        raise BackupError(
            f"{folder} was made by a newer Wellhead ({found.get('wellhead')}, format "
            f"{found.get('format')}): restore it with that one"
        )
    try:
        manifest = TypeAdapter(Manifest).validate_json(content)
    except ValidationError as error:
        raise BackupError(f"{folder / MANIFEST} cannot be read: {error}") from error
    for file in manifest.files:
        parts = Path(file.path).parts
        if parts[0] not in (INDEX, LEDGER, SECRET_KEY, KEY_FILE) or ".." in parts:
            raise BackupError(f"{folder / MANIFEST} names a strange file: {file.path}")
    return manifest


def write_private(file: Path, content: bytes) -> None:
    with created(file) as stream:
        stream.write(content)


def copy_file(source: Path, target: Path, *, path: str) -> StoredFile:
    """Copy durably, and return what was copied under this path."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with source.open("rb") as stream, created(target) as to:
        return _digest(stream.read, to.write, path)


def describe_file(folder: Path, path: str) -> StoredFile:
    """Read a file of a backup again, and return what is there now."""
    with (folder / path).open("rb") as stream:
        return _digest(stream.read, len, path)


def _digest(
    read: Callable[[int], bytes], write: Callable[[bytes], int], path: str
) -> StoredFile:
    digest, size = hashlib.blake2b(digest_size=32), 0
    while block := read(_BLOCK):
        digest.update(block)
        write(block)
        size += len(block)
    return StoredFile(path, size, digest.hexdigest())


@contextmanager
def created(file: Path) -> Iterator[IO[bytes]]:
    """Create a private file, and sync it when it is written."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(file, flags, 0o600), "wb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


def sync_folders(root: Path) -> None:
    """Make the names of all files durable."""
    for folder, _, _ in os.walk(root):
        sync_folder(Path(folder))


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_files(folder: Path, manifest: Manifest, *, tell: Tell) -> list[str]:
    """Read every file; return what is wrong with them, in words."""
    wrong, done, size = [], 0, manifest.size()
    for file in manifest.files:
        try:
            found = describe_file(folder, file.path)
        except OSError as error:
            wrong.append(f"{file.path}: {error.strerror}")
            continue
        if found != file:
            wrong.append(f"{file.path}: {difference(file, found)}")
        done += file.size
        tell("checking", done, size)
    return wrong


def difference(wanted: StoredFile, found: StoredFile) -> str:
    if found.size != wanted.size:
        return f"{found.size} bytes instead of {wanted.size}"
    return "damaged, the checksum differs"


def check_room(folder: Path, needed: int) -> None:
    """Raises BackupError when there is too little free disk."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BackupError(
            f"the disk of {folder} has {megabytes(free)} free and up to "
            f"{megabytes(needed)} are needed: free some space, or choose another disk"
        )


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def files_below(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())

"""Restoring a backup into an empty place, all or nothing."""

import asyncio
import gzip
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from wellhead.app.backup_files import (
    INDEX,
    LEDGER,
    SECRET_KEY,
    BackupError,
    Manifest,
    StoredFile,
    Tell,
    check_files,
    check_room,
    copy_file,
    describe_file,
    difference,
    fingerprint,
    read_manifest,
    sync_folder,
    sync_folders,
    write_private,
)
from wellhead.app.home import Home
from wellhead.app.local import secret_keys
from wellhead.app.postgres import EmbeddedPostgres
from wellhead.app.postgres_home import SYSTEM_HOME
from wellhead.app.processes import database_url
from wellhead.app.settings import Settings
from wellhead.domain.errors import JobError
from wellhead.index.lance import LanceIndex
from wellhead.store import ledger_copy, migrate
from wellhead.store.ledger_copy import TableCopy
from wellhead.store.secrets import Cipher

MAY_BE_THERE = {SECRET_KEY, "serve.lock"}
"""What an empty data directory may hold: the key may be put there first."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore brought back."""

    manifest: Manifest
    lost: int
    """Entities whose chunks the backup does not have; the next jobs write them."""

    unknown: int
    """Versions that were being written at the moment of the backup, removed."""

    open_jobs: int
    credentials: int
    unreadable: int
    """Credentials that the present keys cannot decrypt."""


def check(source: Path, *, tell: Tell) -> Manifest:
    """Read a whole backup; raises BackupError naming what is damaged."""
    source = source.expanduser().absolute()
    manifest = read_manifest(source)
    wrong = check_files(source, manifest, tell=tell)
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise BackupError(f"{source} is damaged: {'; '.join(wrong[:3])}{more}")
    return manifest


def restore(settings: Settings, source: Path, *, tell: Tell) -> Restored:
    """Bring a backup into an empty data directory, and an empty database if external.

    Raises BackupError and StartError, and then leaves the place as empty as it was.
    """
    source = source.expanduser().absolute()
    manifest = read_manifest(source)
    _check_program(manifest)
    home = Home(settings.data_dir)
    _check_not_served(home)
    try:
        with _made(home), _begun(home):
            _check_keys(settings, manifest)
            _check_room(settings, manifest)
            _copy_files(manifest, source, home, tell=tell)
            with _database(settings) as url:
                return _load(settings, url, manifest, source, tell=tell)
    except (OSError, psycopg.Error, EOFError) as error:
        raise BackupError(f"the backup was not restored: {error}") from error


def notes(settings: Settings, restored: Restored) -> list[str]:
    """Say what the owner should know or do now."""
    made, said = restored.manifest, []
    if restored.unreadable:
        said.append(
            f"{restored.unreadable} of {restored.credentials} connections have "
            "credentials that cannot be read without the key that encrypted them, so "
            "their jobs fail. Search, API keys and all other connections work. Put "
            f"that key into {settings.data_dir / SECRET_KEY} or WELLHEAD_SECRET_KEY "
            "and start the server, or enter the credentials again"
        )
    if Home(settings.data_dir).read_key() is None:
        said.append(
            "API keys are valid as before, but none is in this data directory: give "
            "commands one as WELLHEAD_API_KEY, or see `wellhead keys create --local`"
        )
    if restored.lost:
        said.append(
            f"{restored.lost} entities have no whole text in the backup's index; the "
            "next job of their connections writes them again"
        )
    if made.embedder != settings.embedder:
        said.append(f"the backup was made with WELLHEAD_EMBEDDER={made.embedder}")
    return said


def _check_program(manifest: Manifest) -> None:
    if not migrate.knows(manifest.schema_revision):
        raise BackupError(
            f"the backup was made by a newer Wellhead ({manifest.wellhead}, schema "
            f"{manifest.schema_revision}): restore it with that one, or upgrade"
        )


def _check_not_served(home: Home) -> None:
    served = home.served()
    if served is not None:
        raise BackupError(
            f"a server runs on {home.path} ({served.url}): restore into an empty data "
            "directory, with --data-dir"
        )


@contextmanager
def _made(home: Home) -> Iterator[None]:
    """Make the place and hold it; where that fails, what was made is removed."""
    folders = [home.index, home.path, *home.path.parents]
    new = [one for one in folders if not one.exists()]
    is_lock_new = not home.lock_file.exists()
    is_done = False
    try:
        home.make()
        with home.locked():
            try:
                yield
                is_done = True
            finally:
                if is_lock_new and not is_done and not home.restoring.exists():
                    home.lock_file.unlink()
    finally:
        for folder in [] if is_done else new:
            with suppress(OSError):  # somebody has put something there
                folder.rmdir()


@contextmanager
def _begun(home: Home) -> Iterator[None]:
    """Mark the place until all is there; nothing starts in a marked one.

    What an interrupted restore left there is removed, by it or by the next one.
    """
    if home.restoring.exists():
        _clear(home)
    kept = {one.name for one in home.path.iterdir()} - {INDEX}
    others = sorted(kept - MAY_BE_THERE) + [one.name for one in home.index.iterdir()]
    if others:
        raise BackupError(
            f"{home.path} is not empty, it holds {', '.join(others[:3])}: restore into "
            "an empty data directory, with --data-dir"
        )
    write_private(home.restoring, json.dumps(sorted(kept)).encode())
    sync_folder(home.path)
    is_done = False
    try:
        yield
        sync_folders(home.index)
        sync_folder(home.path)
        is_done = True
    finally:
        if is_done:
            home.restoring.unlink()
            sync_folder(home.path)
        else:
            _clear(home)


def _clear(home: Home) -> None:
    """Remove everything that was not there before, the mark at last."""
    if (home.path / "postgres").exists():
        EmbeddedPostgres.at(home.path).stop()
        cluster = (home.path / "postgres").resolve()
        if cluster.is_relative_to(SYSTEM_HOME):  # where it lives under root
            shutil.rmtree(cluster.parent, ignore_errors=True)
    try:
        kept = set(json.loads(home.restoring.read_bytes()))
    except ValueError:  # it was interrupted while it wrote that
        kept = MAY_BE_THERE
    for one in home.path.iterdir():
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        elif one.name not in {*kept, home.restoring.name}:
            one.unlink()
    home.make()
    home.restoring.unlink()


def _check_keys(settings: Settings, manifest: Manifest) -> None:
    """Refuse a key that opens nothing: whoever gave it believes that it does."""
    given = [fingerprint(key) for key in secret_keys(settings)]
    if given and manifest.secret_keys and not set(given) & set(manifest.secret_keys):
        where = (
            f"the key in {settings.data_dir / SECRET_KEY}"
            if settings.secret_key is None
            else "the key in WELLHEAD_SECRET_KEY"
        )
        raise BackupError(
            f"{where} ({given[0]}) is not the one that encrypted the credentials of "
            f"this backup ({manifest.secret_keys[0]}): give that one, or none"
        )


def _check_room(settings: Settings, manifest: Manifest) -> None:
    is_embedded = settings.database_url is None
    needed = manifest.database_bytes if is_embedded else 0
    check_room(settings.data_dir, needed + manifest.size(of=f"{INDEX}/"))


def _copy_files(manifest: Manifest, source: Path, home: Home, *, tell: Tell) -> None:
    size, done = manifest.size(), 0
    for file in manifest.files:
        tell("copying and checking", done, size)
        found = _copy(file, source, home)
        if found != file:
            raise BackupError(
                f"{source / file.path} is damaged ({difference(file, found)}): "
                "nothing was restored; use another backup"
            )
        done += file.size
    tell("copying and checking", done, size)


def _copy(file: StoredFile, source: Path, home: Home) -> StoredFile:
    target = home.path / file.path
    is_read_in_place = file.path.startswith(f"{LEDGER}/")
    if is_read_in_place or target.exists():  # a key that was put there before
        return describe_file(source, file.path)
    return copy_file(source / file.path, target, path=file.path)


@contextmanager
def _database(settings: Settings) -> Iterator[str]:
    if settings.database_url is not None:
        yield database_url(settings)
        return
    postgres = EmbeddedPostgres.ensure(settings.data_dir)
    try:
        yield postgres.url
    finally:
        postgres.stop()


def _load(
    settings: Settings, url: str, manifest: Manifest, source: Path, *, tell: Tell
) -> Restored:
    """Fill the database from files that were checked; the last step of all."""

    def load(connection: psycopg.Connection[Any]) -> None:
        tell("ledger", 0, 0)
        with ExitStack() as stack:
            files = [
                stack.enter_context(_opened(source, table)) for table in manifest.tables
            ]
            reads = [file.read for file in files]
            tables = list(zip(manifest.tables, reads, strict=True))
            ledger_copy.load(connection, tables, manifest.sequences)

    with migrate.filled(url, manifest.schema_revision, load) as connection:
        return asyncio.run(_settle(settings, connection, manifest, tell=tell))


def _opened(source: Path, table: TableCopy) -> gzip.GzipFile:
    return gzip.GzipFile(source / LEDGER / f"{table.name}.copy.gz", "rb")


async def _settle(
    settings: Settings,
    connection: psycopg.Connection[Any],
    manifest: Manifest,
    *,
    tell: Tell,
) -> Restored:
    """Compare the index with the ledger, and see what can be decrypted."""
    index = await LanceIndex.open(Home(settings.data_dir).index)
    lost = unknown = 0
    try:
        for at, one in enumerate(manifest.collections):
            tell("comparing", at, len(manifest.collections))
            table_id = ledger_copy.table_of(connection, one.id)
            stored = [pair async for pair in index.versions(table_id)]
            found = ledger_copy.compare(connection, one.id, stored)
            await index.delete_versions(table_id, found.unknown)
            lost += found.lost
            unknown += len(found.unknown)
    finally:
        await index.close()
    sealed = ledger_copy.credentials(connection)
    return Restored(
        manifest=manifest,
        lost=lost,
        unknown=unknown,
        open_jobs=ledger_copy.count_open_jobs(connection),
        credentials=len(sealed),
        unreadable=_unreadable(settings, sealed),
    )


def _unreadable(settings: Settings, sealed: Sequence[bytes]) -> int:
    keys = secret_keys(settings)
    if not keys:
        return len(sealed)
    cipher, failed = Cipher(keys), 0
    for one in sealed:
        try:
            cipher.decrypt(one)
        except JobError:
            failed += 1
    return failed

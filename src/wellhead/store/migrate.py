"""Brings a database to this program's schema: the ledger's, then the engine's.

Procrastinate keeps no record of its own, so the name of its newest applied migration
stands in the `setting` table, written in the same transaction.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import procrastinate.schema
import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool

from wellhead.domain.errors import StartError
from wellhead.store.schema import setting

OLDEST_POSTGRESQL = 14
ENGINE_SCHEMA = "engine_schema"
_LOCK = 0x57454C4C  # any number that nobody else locks


def upgrade(url: str) -> None:
    """Bring the database up to date in one transaction; up to date already is fine.

    Several processes may call this at once. Blocks: call it in a thread.
    """
    with _transaction(url) as connection:
        _check_server(connection, make_url(url))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        config = _config()
        _check_revision(connection, ScriptDirectory.from_config(config))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        _upgrade_engine(connection)


@contextmanager
def filled(
    url: str, revision: str, load: Callable[[psycopg.Connection[Any]], None]
) -> Iterator[psycopg.Connection[Any]]:
    """Fill an empty database as of this revision, and bring it up to date.

    What the caller does with it belongs to the same transaction. Blocks.
    """
    with _transaction(url) as connection:
        _check_server(connection, make_url(url))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        found = inspect(connection).get_table_names()
        if found:
            raise StartError(
                f"the database {_name(make_url(url))} is not empty, it has tables "
                f"({', '.join(sorted(found)[:3])}, …): give Wellhead an empty one"
            )
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        driver = connection.connection.driver_connection
        if not isinstance(driver, psycopg.Connection):
            raise TypeError(f"expected psycopg, found {type(driver).__name__}")
        load(driver)
        command.upgrade(config, "head")
        _upgrade_engine(connection)
        yield driver


def newest() -> str:
    """Return the revision that this program brings a database to."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def knows(revision: str) -> bool:
    """Tell whether this program can bring a database up to date from this revision."""
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return any(script.revision == revision for script in scripts)


def current(url: str) -> str | None:
    """Return the revision of the database; None when it has none yet. Blocks."""
    with _transaction(url) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    folder = str(Path(__file__).with_name("migrations"))
    config.set_main_option("script_location", folder.replace("%", "%%"))
    return config


@contextmanager
def _transaction(url: str) -> Iterator[Connection]:
    try:
        parsed = make_url(url).set(drivername="postgresql+psycopg")
    except ArgumentError as error:
        raise StartError(
            "the database URL cannot be read: write it as "
            "postgresql://user:password@host:5432/database"
        ) from error
    engine = create_engine(
        parsed, poolclass=NullPool, connect_args={"connect_timeout": 10}
    )
    try:
        with engine.begin() as connection:
            yield connection
    except OperationalError as error:
        raise StartError(
            f"the database {_name(parsed)} cannot be used: {error.orig}"
        ) from error
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != "42501":
            raise
        raise StartError(
            f"user {parsed.username} may not create tables in the database "
            f"{_name(parsed)}: make it the owner of that database ({error.orig})"
        ) from error
    finally:
        engine.dispose()


def _name(url: URL) -> str:
    host = url.query.get("host") or url.host or "localhost"
    return f"{url.database} on {host}"


def _check_server(connection: Connection, url: URL) -> None:
    number = connection.scalar(text("SHOW server_version_num"))
    if int(str(number)) // 10000 < OLDEST_POSTGRESQL:
        found = connection.scalar(text("SHOW server_version"))
        raise StartError(
            f"the database {_name(url)} is PostgreSQL {found}; Wellhead needs "
            f"{OLDEST_POSTGRESQL} or newer"
        )


def _check_revision(connection: Connection, scripts: ScriptDirectory) -> None:
    found = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    if found is not None and found not in known:
        raise StartError(
            f"the database is newer (revision {found}) than this program: "
            "upgrade Wellhead"
        )


def _upgrade_engine(connection: Connection) -> None:
    """Apply Procrastinate's whole schema, or what was added to it since."""
    names = sorted(
        file.name
        for file in resources.files("procrastinate.sql.migrations").iterdir()
        if file.name.endswith(".sql")
    )
    is_there = inspect(connection).has_table("procrastinate_jobs")
    chosen = select(setting.c.value).where(setting.c.name == ENGINE_SCHEMA)
    applied = connection.execute(chosen).scalar()
    if is_there and applied is None:
        raise StartError(
            "the database already holds another program's Procrastinate tables: give "
            "Wellhead a database of its own"
        )
    if applied is not None and applied > names[-1]:
        raise StartError(
            f"the database is newer (engine {applied}) than this program: "
            "upgrade Wellhead"
        )
    if applied is None:
        _run(connection, procrastinate.schema.SchemaManager.get_schema())
    else:
        folder = resources.files("procrastinate.sql.migrations")
        for name in names:
            if name > applied:
                _run(connection, (folder / name).read_text(encoding="utf-8"))
    row = insert(setting).values(name=ENGINE_SCHEMA, value=names[-1])
    connection.execute(
        row.on_conflict_do_update(
            index_elements=["name"], set_={"value": row.excluded.value}
        )
    )


def _run(connection: Connection, script: str) -> None:
    # without arguments psycopg takes several statements at once, and `%` as it is
    connection.connection.cursor().execute(script)

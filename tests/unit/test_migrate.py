"""Migrations: the same schema as the code's, once, and refusals that say what to do."""

import re
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from wellhead.domain.errors import StartError
from wellhead.store import migrate
from wellhead.store.revision import is_current
from wellhead.store.tables import metadata


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or not str(name).startswith("procrastinate_")


def _difference(connection: Connection) -> list[object]:
    options = {
        "include_name": _is_ours,
        "compare_type": True,
        "compare_server_default": True,
    }
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, metadata))


def _catalog(connection: Connection) -> list[tuple[object, ...]]:
    """Everything that PostgreSQL itself says of our tables' indexes and rules."""
    query = """
        SELECT 'index', indexname::text, indexdef FROM pg_indexes
        WHERE schemaname = 'public'
        UNION ALL
        SELECT 'rule', c.conrelid::regclass::text || c.conname,
               pg_get_constraintdef(c.oid)
        FROM pg_constraint c WHERE connamespace = 'public'::regnamespace
        UNION ALL
        SELECT 'options', oid::regclass::text, reloptions::text FROM pg_class
        WHERE reloptions IS NOT NULL AND relkind = 'r'
          AND relnamespace = 'public'::regnamespace
    """
    rows = sorted(tuple(row) for row in connection.execute(text(query)))
    others = re.compile("procrastinate|alembic_version")
    return [row for row in rows if not others.search(str(row[1]))]


async def test_the_migrations_make_the_schema_of_the_code(db: AsyncEngine) -> None:
    async with db.begin() as connection:
        assert await connection.run_sync(_difference) == []


async def test_rules_and_indexes_are_those_of_the_code(db: AsyncEngine) -> None:
    async with db.begin() as connection:
        migrated = await connection.run_sync(_catalog)
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
        await connection.run_sync(metadata.create_all)

        assert migrated == await connection.run_sync(_catalog)


async def test_sequences_count_beyond_four_bytes(db: AsyncEngine) -> None:
    async with db.begin() as connection:
        for name in ("version_seq", "job_sequence"):
            await connection.execute(text(f"SELECT setval('{name}', {2**40})"))
            value = await connection.scalar(text(f"SELECT nextval('{name}')"))
            assert value == 2**40 + 1


def test_a_migrated_database_stays_as_it_is(database_url: str) -> None:
    before = migrate.current(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO setting VALUES ('kept', 'x')")
        migrate.upgrade(database_url)
        query = "SELECT value FROM setting WHERE name = 'kept'"
        assert connection.execute(query).fetchone() == ("x",)

    assert migrate.current(database_url) == before == "0001"


def test_processes_at_once_migrate_an_empty_database(empty_database_url: str) -> None:
    assert migrate.current(empty_database_url) is None
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate.upgrade, [empty_database_url] * 4))

    assert migrate.current(empty_database_url) == "0001"


def test_a_migration_that_fails_leaves_nothing(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE procrastinate_jobs (id int)")
        with pytest.raises(StartError, match="database of its own"):
            migrate.upgrade(empty_database_url)

        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        assert connection.execute(query).fetchall() == [("procrastinate_jobs",)]
        connection.execute("DROP TABLE procrastinate_jobs")
    migrate.upgrade(empty_database_url)


def test_an_older_engine_gets_what_was_added_since(database_url: str) -> None:
    trigger = "procrastinate_trigger_status_events_update_v1"
    older, newest = _engine_migrations()[-2:]
    recorded = "SELECT value FROM setting WHERE name = 'engine_schema'"
    with psycopg.connect(database_url, autocommit=True) as connection:
        assert connection.execute(recorded).fetchone() == (newest,)
        connection.execute(f"DROP TRIGGER {trigger} ON procrastinate_jobs".encode())
        connection.execute(
            "UPDATE setting SET value = %s WHERE name = 'engine_schema'", [older]
        )
        migrate.upgrade(database_url)

        assert connection.execute(recorded).fetchone() == (newest,)
        found = "SELECT count(*) FROM pg_trigger WHERE tgname = %s"
        assert connection.execute(found, [trigger]).fetchone() == (1,)


def _engine_migrations() -> list[str]:
    folder = resources.files("procrastinate.sql.migrations")
    return sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE alembic_version SET version_num = '9999'",
        "UPDATE setting SET value = '99.00.00.sql' WHERE name = 'engine_schema'",
    ],
)
def test_a_newer_database_is_refused(database_url: str, change: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(change.encode())

    with pytest.raises(StartError, match=r"newer .* upgrade Wellhead"):
        migrate.upgrade(database_url)


def test_a_database_is_current_once_both_schemas_are(empty_database_url: str) -> None:
    assert not is_current(empty_database_url)

    migrate.upgrade(empty_database_url)

    assert is_current(empty_database_url)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE alembic_version SET version_num = '0000'",
        "UPDATE setting SET value = '00.00.00.sql' WHERE name = 'engine_schema'",
        "DELETE FROM setting WHERE name = 'engine_schema'",
    ],
)
def test_a_database_that_is_behind_is_not_current(
    database_url: str, change: str
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(change.encode())

    assert not is_current(database_url)


def test_an_old_postgresql_is_refused(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "OLDEST_POSTGRESQL", 99)

    with pytest.raises(StartError, match=r"is PostgreSQL 18.* needs 99 or newer"):
        migrate.upgrade(database_url)


def test_a_user_without_rights_is_told(empty_database_url: str) -> None:
    url = make_url(empty_database_url)
    role = f"reader_{url.database}"
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'hush'")
        weak = url.set(username=role, password="hush")  # noqa: S106
        with pytest.raises(StartError, match="may not create tables") as caught:
            migrate.upgrade(weak.render_as_string(hide_password=False))
        connection.execute(f"DROP ROLE {role}")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://a:hush@127.0.0.1:1/lost", "lost on 127.0.0.1"),
        ("postgresql://a:hush@/lost?host=/nowhere", "lost on /nowhere"),
        ("hush:me", "postgresql://user:password@host:5432/database"),
    ],
)
def test_a_database_that_cannot_be_reached_is_named(url: str, says: str) -> None:
    for ask in (migrate.upgrade, migrate.current):
        with pytest.raises(StartError, match=says) as caught:
            ask(url)

        assert "hush" not in str(caught.value)

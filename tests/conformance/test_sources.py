"""Every source keeps to the rules of sources."""

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier
from tests.conformance.test_vendors import VENDORS

from wellhead.domain.entities import Entity
from wellhead.domain.errors import ConfigError
from wellhead.domain.items import Item, ScopeEnd, ScopeStart, Upsert
from wellhead.sources.base import FederatedSource, Source, SourceInfo
from wellhead.sources.conformance import CHECKS, FEDERATED_CHECKS, Make
from wellhead.sources.http import ApiSource
from wellhead.sources.registry import Registry

ROOT = Path(__file__).parents[2]
QUIET: dict[str, dict[str, Any]] = {
    "timed": {"entity_count": 7, "duration_seconds": 0.1},
    "stub": {"entity_count": 230},
    "incremental_stub": {"entity_count": 230},
    "exception_stub": {"trigger_after": 10},
    "file_stub": {},
    "bulk_stub": {"entity_count": 1_200},
}
STUB_KEY = {"stub_key": "s3cret-key"}
SECRETS: dict[str, dict[str, Any]] = {
    "timed": {"timed_key": "s3cret-key"},
    "stub": STUB_KEY,
    "incremental_stub": STUB_KEY,
    "exception_stub": STUB_KEY,
    "file_stub": STUB_KEY,
    "bulk_stub": STUB_KEY,
    "git": {"username": "ada", "token": "s3cret-token"},
}
TABLE = """
CREATE TABLE {0} (id text PRIMARY KEY, note text, at float8, updated_at timestamptz);
INSERT INTO {0} SELECT n || '/%', 'Note ' || n, 'NaN', CASE WHEN n > 3 THEN now() END
FROM generate_series(1, 9) AS n
"""
# these are held to the checks where their servers run
ON_SERVERS = {
    "s3": "tests/sources/test_files.py",
    "gcs": "tests/sources/test_files.py",
    "azure_blob": "tests/sources/test_files.py",
    "sqlite": "tests/sources/test_sqlite.py",
    "sftp": "tests/sources/test_files.py",
    "webdav": "tests/sources/test_files.py",
    "web": "tests/sources/test_web.py",
    "rss": "tests/sources/test_rss.py",
    "imap": "tests/sources/test_imap.py",
}
_KINDS = Registry.load(include_demo=True).by_name
FEDERATED = sorted(name for name, kind in _KINDS.items() if kind.is_federated)
OF_APIS = {name for name, kind in _KINDS.items() if issubclass(kind, ApiSource)}
SOURCES = sorted(_KINDS.keys() - set(FEDERATED) - ON_SERVERS.keys() - OF_APIS)


def plant(folder: Path) -> None:
    for name in ("README.md", "docs/a b.md", "docs/deep/c.txt", "src/flow.py"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"What {name} says\n")
    (folder / os.fsdecode(b"caf\xe9 \\.md")).write_text("Coffee\n")


def commit(folder: Path) -> None:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    for words in (("init", "--quiet"), ("add", "--all"), ("commit", "-qm", "All")):
        subprocess.run(
            ("git", "-C", str(folder), *identity, *words),  # noqa: S607
            check=True,
        )


@pytest.fixture
async def make(request: pytest.FixtureRequest, tmp_path: Path, short_name: str) -> Make:
    """How to make the source named by the test, with a few entities behind it."""
    config, secrets = QUIET.get(short_name, {}), SECRETS.get(short_name, {})
    if short_name in ("file_system", "git"):
        plant(tmp_path)
        config = {"path" if short_name == "file_system" else "url": str(tmp_path)}
    if short_name == "git":
        commit(tmp_path)
    if short_name in ("postgresql", "postgresql_search"):
        url = request.getfixturevalue("empty_database_url")
        config, secrets = await fill(url)
        if short_name == "postgresql":
            config["page_size"] = 2
    kind = Registry.load(include_demo=True).get(short_name)
    return lambda: kind.create(config, secrets)


async def fill(url: str) -> tuple[dict[str, Any], dict[str, Any]]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        for table in ("pumps", "valves"):
            await connection.execute(SQL(TABLE).format(Identifier(table)))
    login = conninfo_to_dict(url)
    place = {"host": login["host"], "port": login["port"], "database": login["dbname"]}
    secret = {"user": login["user"], "password": login["password"]}
    return place, secret


@pytest.mark.parametrize("check", FEDERATED_CHECKS)
@pytest.mark.parametrize("short_name", FEDERATED)
async def test_a_federated_source_conforms(make: Make, check: str) -> None:
    assert await FEDERATED_CHECKS[check](make) == []


@pytest.mark.parametrize("short_name", FEDERATED)
def test_a_federated_source_is_never_read(make: Make) -> None:
    with pytest.raises(ConfigError, match="never synced"):
        make().read(None)


class Moody(FederatedSource):
    """Breaks the rules of federated sources, to show that the checks notice."""

    info = SourceInfo(
        short_name="moody", name="M", description="M", entity_types=("Note",)
    )
    asked = 0

    async def check(self) -> None:
        """Nothing."""

    async def search(self, query: str, limit: int) -> list[Entity]:
        Moody.asked += 1
        ids = range(Moody.asked, Moody.asked + 15)
        return [Entity(type="Note", source_id=str(one), name="n") for one in ids]


async def test_a_moody_source_is_caught() -> None:
    for check, wrong in (
        ("takes_any_text_for_a_question", 13 * 16),
        ("answers_in_one_order", 13 * 2),
    ):
        assert len(await FEDERATED_CHECKS[check](lambda: Moody.create({}, {}))) == wrong


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("short_name", SOURCES)
async def test_a_source_conforms(make: Make, check: str) -> None:
    assert await CHECKS[check](make) == []


@pytest.mark.parametrize("short_name", ON_SERVERS)
def test_a_source_conforms_on_its_server(short_name: str) -> None:
    text = (ROOT / ON_SERVERS[short_name]).read_text("utf-8")

    assert f'"{short_name}"' in text
    assert '@pytest.mark.parametrize("check", CHECKS)' in text


def test_every_source_of_an_api_is_tried_with_its_vendor() -> None:
    with_vendor = {kind.source.info.short_name for kind in VENDORS}

    assert with_vendor == OF_APIS


class Careless(Source):
    """Breaks most rules, to show that the checks notice."""

    info = SourceInfo(
        short_name="Careless!",
        name="",
        description="",
        entity_types=("Thing",),
        is_incremental=True,
    )
    reads = 0

    async def check(self) -> None:
        """Nothing."""

    async def read(self, cursor: dict[str, Any] | None) -> AsyncIterator[Item]:
        Careless.reads += 1
        entity = Entity(
            type="Other",
            source_id="\udce9",
            name=" ",
            source_version=str(Careless.reads),
            raw={"set": {1}},
        )
        yield Upsert(entity)
        yield ScopeStart("a/b")
        yield Upsert(entity)
        yield ScopeEnd("a")


@pytest.mark.parametrize(
    ("check", "wrong"),
    [
        ("describes_itself", 3),
        ("opens_and_ends_scopes", 4),
        ("yields_the_same_twice", 2),
        ("yields_good_entities", 10),
        ("reads_on_from_its_cursor", 1),
    ],
)
async def test_a_careless_source_is_caught(check: str, wrong: int) -> None:
    found = await CHECKS[check](lambda: Careless.create({}, {}))

    assert len(found) == wrong, found

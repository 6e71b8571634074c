"""What tests share: a PostgreSQL, a fresh database for each test, a still clock."""
# ruff: noqa: S108

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from wellhead.app.postgres import EmbeddedPostgres
from wellhead.store import migrate
from wellhead.store.database import connect

MODEL = Path(__file__).parent / "model"
# how long something takes tells of the machine, not of what is tested
settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")

# nothing of a test has to survive a power cut
UNSAFE = {
    # a query that runs wild must not fill the machine's memory or disk
    "temp_file_limit": "256MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # and a vacuum in the template would hold up those who clone it
    "autovacuum": "off",
}


@dataclass
class StillClock:
    """A clock that a test sets."""

    at: datetime = field(default=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def still_clock() -> StillClock:
    return StillClock()


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Say what a test measured; all of it is printed when the tests are over."""
    return lambda figures: record_property("told", figures)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes minutes, so that nothing waits for it in the end."""
    items.sort(key=lambda item: not item.path.parent.samefile(MODEL))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    told = [
        (report.outcome, report.nodeid.partition("/")[2], figures)
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, figures in report.user_properties
        if name == "told"
    ]
    if told:
        terminalreporter.section("what the tests measured")
    for outcome, test, figures in told:
        terminalreporter.line(f"{outcome}  {test}")
        for line in str(figures).splitlines():
            terminalreporter.line(f"    {line}")


def _require(program: str | Path) -> str:
    if isinstance(program, Path):
        found = str(program) if program.exists() else None
    else:
        found = shutil.which(program)
    if found is not None:
        return found
    is_needed = os.environ.get("WELLHEAD_TEST_REQUIRE") == "all"  # noqa: TID251  # tests
    missing = f"{program} is not installed"
    if is_needed:
        pytest.fail(f"{missing}, and WELLHEAD_TEST_REQUIRE=all allows no skip")
    pytest.skip(missing)


@pytest.fixture(scope="session")
def require() -> Callable[[str | Path], str]:
    """Return where a program is, by name or path; without it the test is skipped.

    With WELLHEAD_TEST_REQUIRE=all it fails instead, so that nothing goes unnoticed.
    """
    return _require


@pytest.fixture(scope="session")
def quick_disk() -> Path:
    """Where servers keep their data: in memory where there is room, else /tmp.

    Not `tmp_path`, which the user that PostgreSQL runs as under root cannot enter.
    """
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > 2 * 2**30:
        return memory
    return Path("/tmp")


@pytest.fixture(scope="session")
def postgres(quick_disk: Path) -> Iterator[EmbeddedPostgres]:
    """One server for each test process; its own database is migrated, to clone from."""
    folder = Path(tempfile.mkdtemp(prefix="wellhead-test-", dir=quick_disk))
    folder.chmod(0o711)
    server = EmbeddedPostgres.ensure(folder, settings=UNSAFE)
    try:
        migrate.upgrade(server.url)
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture
def empty_database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    yield from _database(postgres, "template0")


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A fresh database with the whole schema."""
    yield from _database(postgres, "wellhead")


def _database(postgres: EmbeddedPostgres, template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres.url, dbname="postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        url = make_url(postgres.url).set(database=name)
        yield url.render_as_string(hide_password=False)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = connect(database_url)
    yield engine
    await engine.dispose()

"""Backups of a server at work, and servers on what was restored from them."""

import signal
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from wellhead.app.postgres import EmbeddedPostgres
from wellhead.store.locks import INDEX_GATE

Program = Any  # the fixture's own class
FILES = 300


class Place:
    """A server seen through its API, with a key of the original."""

    def __init__(self, program: Program, key: str) -> None:
        self._program = program
        self._key = key

    def ask(self, method: str, path: str, **more: Any) -> Any:
        url = f"{self._program.served['url']}{path}"
        headers = {"x-api-key": self._key}
        answer = httpx.request(method, url, headers=headers, timeout=60, **more)
        answer.raise_for_status()
        return answer.json()

    def search(self, query: str) -> list[Any]:
        body = {"query": query, "limit": 1000, "retrieval_strategy": "keyword"}
        found = self.ask("POST", "/collections/notes-of-all/search/instant", json=body)
        results: list[Any] = found["results"]
        return results

    def answers(self, query: str) -> dict[str, Any]:
        """Return all that is found, without scores: upkeep of the index moves them."""
        found = {one.pop("entity_id"): one for one in self.search(query)}
        return {
            name: {key: value for key, value in one.items() if key != "relevance_score"}
            for name, one in found.items()
        }

    def texts(self) -> dict[str, str]:
        """Return what each file says; a file found twice would not be whole."""
        found = self.search("everywhere")
        texts = {one["name"]: one["textual_representation"] for one in found}
        assert len(texts) == len(found), "a file twice"
        return texts

    def sync(self) -> Any:
        connection = self.ask("GET", "/source-connections")[0]["id"]
        path = f"/source-connections/{connection}"
        self._program.until(lambda: not self._open(path), "jobs under way end")
        job = self.ask("POST", f"{path}/run")["id"]
        self._program.until(lambda: not self._open(path), "the job ends")
        return next(one for one in self._jobs(path) if one["id"] == job)

    def _jobs(self, path: str) -> list[Any]:
        found: list[Any] = self.ask("GET", f"{path}/jobs")
        return found

    def _open(self, path: str) -> bool:
        return any(one["completed_at"] is None for one in self._jobs(path))


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notes")
    for number in range(FILES):
        _write(folder, number, edition=1)
    return folder


def _write(folder: Path, number: int, *, edition: int) -> None:
    text = f"everywhere heron{number % 7} note{number} edition{edition} of note{number}"
    (folder / f"{number}.md").write_text(text)


@pytest.fixture(scope="module")
def original(served_program: Program, notes: Path) -> Place:
    program = served_program
    program.ask("collections", "create", "Notes", "--readable-id", "notes-of-all")
    job = program.ask("sync", str(notes), "--collection", "notes-of-all")["job"]
    assert job["entities_inserted"] == FILES
    return Place(program, (program.data_dir / "api_key").read_text().strip())


@pytest.fixture(scope="module")
def quiet(
    served_program: Program, original: Place, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A backup that was made while nobody wrote."""
    target = tmp_path_factory.mktemp("backups") / "quiet"
    original.sync()
    made = served_program.ask("backup", str(target))
    assert (made["entities"], made["has_secret_key"]) == (FILES, False)
    return target


@pytest.fixture
def other(served_program: Program, quick_disk: Path) -> Iterator[Program]:
    """An empty place beside the original."""
    folder = Path(tempfile.mkdtemp(prefix="wellhead-restored-", dir=quick_disk))
    folder.chmod(0o711)
    program = type(served_program)(folder)
    try:
        yield program
    finally:
        program.end()


@contextmanager
def _load(original: Place, notes: Path) -> Iterator[None]:
    """Change files, sync and search until the block ends."""
    stop = threading.Event()
    with ThreadPoolExecutor() as threads:
        working = [
            threads.submit(_change_and_sync, original, notes, stop),
            threads.submit(_search, original, stop),
        ]
        try:
            yield
        finally:
            stop.set()
        for work in working:
            work.result()


def _change_and_sync(original: Place, notes: Path, stop: threading.Event) -> None:
    edition = 1
    while not stop.is_set():
        edition += 1
        for number in range(0, FILES, 2):
            _write(notes, number, edition=edition)
        assert original.sync()["status"] == "completed"


def _search(original: Place, stop: threading.Event) -> None:
    while not stop.wait(0.3):
        assert len(original.texts()) == FILES


def test_a_quiet_place_is_restored_exactly(
    original: Place, quiet: Path, other: Program
) -> None:
    queries = ["everywhere", "heron3", "edition1", "note7 heron5", "nothing of this"]
    before = {query: original.answers(query) for query in queries}

    other.ask("restore", str(quiet))
    other.serve()

    there = Place(other, original._key)
    assert {query: there.answers(query) for query in queries} == before
    again = there.sync()
    assert (again["status"], again["entities_inserted"]) == ("completed", 0)
    assert again["entities_updated"] == 0


def test_nothing_is_restored_into_a_place_that_is_used(
    served_program: Program, original: Place, quiet: Path
) -> None:
    refused = served_program.run("restore", str(quiet))

    assert refused.returncode == 1
    assert "a server runs on" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert len(original.texts()) == FILES


def test_a_backup_under_load_is_whole_and_its_restored_place_goes_on(
    served_program: Program,
    original: Place,
    other: Program,
    notes: Path,
    tmp_path: Path,
) -> None:
    with _load(original, notes):
        made = served_program.ask("backup", str(tmp_path / "busy"))
    restored = other.ask("restore", str(tmp_path / "busy"))

    assert made["entities"] == restored["entities"] == FILES
    assert restored["entities_to_sync_again"] == 0
    assert "no whole text" not in " ".join(restored["notes"])
    other.serve()
    there = Place(other, original._key)
    shown = there.texts()
    assert shown.keys() == {f"{number}.md" for number in range(FILES)}
    for name, text in shown.items():
        number = name.removesuffix(".md")
        assert text.startswith(f"everywhere heron{int(number) % 7} note{number} ")
        assert text.endswith(f" of note{number}"), "whole"
    _write(notes, 1, edition=99)
    assert there.sync()["status"] == "completed"
    assert there.texts() == {one.name: one.read_text() for one in notes.iterdir()}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_backup_leaves_no_target(
    served_program: Program, original: Place, tmp_path: Path, number: int
) -> None:
    target = tmp_path / "target"
    url = EmbeddedPostgres.at(served_program.data_dir).url
    with psycopg.connect(url, autocommit=True) as maintaining:
        maintaining.execute("SELECT pg_advisory_lock_shared(%s)", [INDEX_GATE])
        backup = served_program.start("backup", str(target))
        served_program.until(lambda: _is_waiting(maintaining), "the backup waits")
        backup.send_signal(number)
        assert backup.wait(60) != 0

    assert not target.exists()
    index = served_program.data_dir / "index"
    if number != signal.SIGKILL:
        assert list(tmp_path.iterdir()) == []
        assert list(index.glob(".backup-*")) == []
        return
    served_program.ask("backup", str(target))
    assert list(tmp_path.iterdir()) == [target]
    assert list(index.glob(".backup-*")) == []


def _is_waiting(connection: psycopg.Connection[Any]) -> bool:
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    row = connection.execute(query).fetchone()
    return row is not None and row[0] > 0


def test_a_killed_restore_is_begun_again(quiet: Path, other: Program) -> None:
    restore = other.start("restore", str(quiet))
    (other.data_dir / "stderr").unlink()
    other.until((other.data_dir / "restoring").exists, "it has begun")
    restore.send_signal(signal.SIGKILL)
    restore.wait(60)

    refused = other.run("serve")
    assert refused.returncode == 1
    assert "wellhead restore" in refused.stderr
    again = other.ask("restore", str(quiet))
    assert (again["entities"], again["entities_to_sync_again"]) == (FILES, 0)
    assert not (other.data_dir / "restoring").exists()

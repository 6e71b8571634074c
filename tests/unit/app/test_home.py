"""The data directory: its lock and its secrets."""

import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wellhead.app import home as module
from wellhead.app.home import Home, Served
from wellhead.domain.errors import StartError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.2)
    home = Home(tmp_path / "data")
    home.prepare()
    return home


def test_nobody_serves_a_new_directory(home: Home) -> None:
    assert home.served() is None
    assert Home(home.path / "absent").served() is None


def test_the_server_is_found_only_while_it_holds_the_lock(home: Home) -> None:
    served = Served("http://127.0.0.1:1", os.getpid(), {"api": 1})

    with home.locked():
        home.announce(served)
        assert home.served() == served
    assert home.served() is None


def test_a_second_server_is_told_about_the_first(home: Home) -> None:
    with home.locked():
        home.announce(Served("http://127.0.0.1:1", os.getpid()))
        with pytest.raises(StartError, match=r"served at http://127\.0\.0\.1:1"):
            home.locked().__enter__()
    with home.locked():
        pass


def test_a_lock_that_was_removed_locks_nobody_out_and_nobody_in(home: Home) -> None:
    holder, waiting = home.locked(), home.locked()
    holder.__enter__()
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(waiting.__enter__)
        time.sleep(0.05)  # it waits for the file that is about to go
        home.lock_file.unlink()
        holder.__exit__(None, None, None)
        second.result()

    with pytest.raises(StartError):
        home.locked().__enter__()
    waiting.__exit__(None, None, None)


def test_a_file_from_another_time_does_not_matter(home: Home) -> None:
    (home.path / "serve.json").write_text("not JSON")

    with home.locked():
        assert home.served() is None


def test_a_secret_is_made_once_and_private(home: Home) -> None:
    assert home.secret("secret_key", "first") == "first"
    assert home.secret("secret_key", "second") == "first"
    home.write_key("key")
    assert home.read_key() == "key"
    home.write_key("newer")

    assert home.read_key() == "newer"
    for file in (home.path / "secret_key", home.key_file):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not list(home.path.glob("*.new"))


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StartError, match="--data-dir"):
        Home(tmp_path / "file" / "data").prepare()

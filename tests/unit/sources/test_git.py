"""The git source against real repositories, local and behind a real git daemon."""

import gc
import os
import socket
import subprocess
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pydantic import ValidationError

from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    CursorInvalidError,
    FailureClass,
    RetryableError,
)
from wellhead.domain.items import (
    Checkpoint,
    Delete,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    Upsert,
)
from wellhead.sources.connectors.git import GitSource
from wellhead.sources.connectors.git.repository import Head
from wellhead.sources.connectors.git.source import _page_url


class Work:
    """A working copy that a test commits in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *words: str) -> str:
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
        command = ("git", "-C", str(self.path), *identity, *words)
        return subprocess.run(
            command, check=True, capture_output=True, text=True
        ).stdout.strip()

    def write(self, name: str, content: str | bytes) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "A change")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def leaky() -> Iterator[None]:
    """For trouble after which the git library leaves its sockets to the collector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.fixture
def work(tmp_path: Path) -> Work:
    work = Work(tmp_path / "project")
    work.write("README.md", "# Pumps\n")
    work.write("docs/valves.md", "How to open a valve\n")
    work.write("src/flow.py", "def flow(): ...\n")
    work.commit()
    return work


@pytest.fixture
def daemon(tmp_path: Path, leaky: None) -> Iterator[str]:
    """The address of everything below the test's folder, by a real git daemon."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        ("git", "daemon", "--export-all", f"--base-path={tmp_path}",  # noqa: S607
         "--listen=127.0.0.1", f"--port={port}", "--log-destination=none"),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.02)
    yield f"git://127.0.0.1:{port}/project"
    server.terminate()
    server.wait(30)


async def read(
    url: object, cursor: dict[str, Any] | None = None, **config: Any
) -> list[Item]:
    source = GitSource.create({"url": str(url), **config}, {})
    try:
        return [item async for item in source.read(cursor)]
    finally:
        await source.close()


def names(items: list[Item]) -> list[str]:
    return [item.entity.source_id for item in items if isinstance(item, Upsert)]


def deleted(items: list[Item]) -> list[str]:
    return [item.ref.source_id for item in items if isinstance(item, Delete)]


def token(items: list[Item]) -> dict[str, Any]:
    assert isinstance(items[-1], Checkpoint)
    return items[-1].token


async def test_a_first_read_lists_the_head(work: Work) -> None:
    items = await read(work.path)

    assert names(items) == ["README.md", "docs/valves.md", "src/flow.py"]
    assert items[-2] == ScopeEnd(complete=True)
    assert token(items)["commit"] == work.git("rev-parse", "HEAD")


async def test_the_content_is_that_of_the_commit_not_of_the_folder(work: Work) -> None:
    work.write("README.md", "not committed")
    source = GitSource.create({"url": str(work.path), "include": ["README.md"]}, {})
    items = [item async for item in source.read(None)]
    (upsert,) = [item for item in items if isinstance(item, Upsert)]
    assert upsert.entity.blob is not None
    path = upsert.entity.blob.open()

    assert path.read_text() == "# Pumps\n"
    assert path.suffix == ".md"
    assert upsert.entity.blob.size == 8
    assert upsert.entity.source_version == work.git("rev-parse", "HEAD:README.md")
    await source.close()
    assert not path.exists()


async def test_later_reads_tell_only_of_changes(work: Work) -> None:
    before = token(await read(work.path))
    work.git("mv", "docs/valves.md", "docs/gates.md")
    work.git("rm", "--quiet", "src/flow.py")
    work.write("README.md", "# Pumps, again\n")
    work.write("new.md", "new\n")
    work.commit()
    items = await read(work.path, before)

    assert sorted(names(items)) == ["README.md", "docs/gates.md", "new.md"]
    assert sorted(deleted(items)) == ["docs/valves.md", "src/flow.py"]
    assert items[-2] == ScopeEnd(complete=False)


async def test_nothing_changed_yields_nothing(work: Work) -> None:
    before = token(await read(work.path))
    items = await read(work.path, before)

    assert names(items) == deleted(items) == []
    assert token(items) == before


async def test_a_file_that_becomes_a_link_is_deleted(work: Work) -> None:
    before = token(await read(work.path))
    (work.path / "README.md").unlink()
    (work.path / "README.md").symlink_to("docs/valves.md")
    work.commit()
    items = await read(work.path, before)

    assert (names(items), deleted(items)) == ([], ["README.md"])


async def test_links_and_other_types_are_left_out(work: Work) -> None:
    (work.path / "link.md").symlink_to("README.md")
    work.write("picture.bin", b"\x00\x01")
    work.commit()

    assert "link.md" not in names(await read(work.path))
    assert "picture.bin" not in names(await read(work.path))


async def test_a_commit_that_is_gone_makes_the_cursor_invalid(work: Work) -> None:
    before = token(await read(work.path))
    with pytest.raises(CursorInvalidError):
        await read(work.path, {**before, "commit": "0" * 39 + "1"})


async def test_other_patterns_make_the_cursor_invalid(work: Work) -> None:
    before = token(await read(work.path, include=["*.md"]))
    with pytest.raises(CursorInvalidError):
        await read(work.path, before, include=["*.py"])


async def test_patterns_choose_files(work: Work) -> None:
    assert names(await read(work.path, include=["*.md"])) == [
        "README.md",
        "docs/valves.md",
    ]
    assert names(await read(work.path, exclude=["docs/"])) == [
        "README.md",
        "src/flow.py",
    ]


async def test_a_branch_is_read_and_a_missing_one_refused(work: Work) -> None:
    work.git("switch", "--quiet", "--create", "next")
    work.write("next.md", "next\n")
    work.commit()
    work.git("switch", "--quiet", "main")

    assert "next.md" in names(await read(work.path, branch="next"))
    assert "next.md" not in names(await read(work.path))
    with pytest.raises(ConfigError, match="no branch 'gone'"):
        await read(work.path, branch="gone")


async def test_an_annotated_tag_is_read(work: Work) -> None:
    work.git("tag", "--annotate", "--message", "One", "v1")

    assert names(await read(work.path, branch="v1")) == names(await read(work.path))


async def test_an_empty_repository_is_empty_not_wrong(tmp_path: Path) -> None:
    empty = Work(tmp_path / "empty")
    first = await read(empty.path)
    empty.write("a.md", "a\n")
    empty.commit()

    assert names(first) == []
    assert names(await read(empty.path, token(first))) == ["a.md"]


async def test_a_folder_without_a_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no git repository"):
        await GitSource.create({"url": str(tmp_path)}, {}).check()


async def test_a_large_file_is_a_permanent_failure(work: Work) -> None:
    work.write("large.md", "x" * (1024 * 1024 + 1))
    work.commit()
    items = await read(work.path, max_file_mb=1)
    (failure,) = [item for item in items if isinstance(item, Failure)]

    assert failure.ref == Ref("GitFile", "large.md")
    assert failure.failure_class is FailureClass.PERMANENT


async def test_names_that_are_not_utf8_can_be_stored(work: Work) -> None:
    with (work.path / "caf\udce9.md").open("w") as file:
        file.write("x")
    work.commit()

    assert "caf\\udce9.md" in names(await read(work.path))


async def test_named_files_are_fetched_anew(work: Work) -> None:
    source = GitSource.create({"url": str(work.path)}, {})
    gone, there = Ref("GitFile", "gone.md"), Ref("GitFile", "README.md")
    items = [item async for item in source.fetch([gone, there])]
    await source.close()

    assert names(items) == ["README.md"]
    assert deleted(items) == ["gone.md"]


async def test_a_remote_repository_is_fetched_without_its_history(
    work: Work, daemon: str
) -> None:
    work.write("README.md", "# Second\n")
    first = work.commit()
    source = GitSource.create({"url": daemon}, {})
    items = [item async for item in source.read(None)]
    (repository,) = source._repositories
    entities = [item.entity for item in items if isinstance(item, Upsert)]
    contents = [one.blob.open().read_text() for one in entities if one.blob]

    assert token(items)["commit"] == first
    assert contents[0] == "# Second\n"
    assert repository.head is not None
    assert repository.head.parents[0] not in repository._repo.object_store
    await source.close()
    assert not os.path.exists(repository._folder)  # noqa: ASYNC240, PTH110


async def test_a_remote_repository_is_read_from_a_cursor(
    work: Work, daemon: str
) -> None:
    # as the large hosts do
    work.git("config", "uploadpack.allowAnySHA1InWant", "true")
    before = token(await read(daemon))
    work.git("rm", "--quiet", "src/flow.py")
    work.write("README.md", "# Second\n")
    work.commit()
    items = await read(daemon, before)

    assert (names(items), deleted(items)) == (["README.md"], ["src/flow.py"])


async def test_a_commit_the_server_no_longer_gives_makes_the_cursor_invalid(
    work: Work, daemon: str
) -> None:
    before = token(await read(daemon))
    work.write("new.md", "new\n")
    work.commit()
    with pytest.raises(CursorInvalidError):
        await read(daemon, {**before, "commit": "0" * 39 + "1"})


async def test_a_missing_remote_repository_is_a_config_error(daemon: str) -> None:
    with pytest.raises(ConfigError):
        await GitSource.create({"url": daemon + "-gone"}, {}).check()


async def test_a_server_that_does_not_answer_is_retried(leaky: None) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(RetryableError):
        await GitSource.create({"url": f"git://127.0.0.1:{port}/x"}, {}).check()


@pytest.fixture
async def refusing(leaky: None) -> AsyncIterator[tuple[str, list[str]]]:
    """A web server that answers with the status in the path, and what it was told."""
    told: list[str] = []

    class Refuse(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.append(self.headers.get("Authorization", ""))
            self.send_response(int(self.path.split("/")[1]))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refuse)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", told
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, CredentialsError),
        (403, CredentialsError),
        (404, ConfigError),
        (503, RetryableError),
    ],
)
async def test_an_answer_of_a_web_host_is_told_by_what_to_do(
    refusing: tuple[str, list[str]], status: int, error: type[Exception]
) -> None:
    url, told = refusing
    source = GitSource.create({"url": f"{url}/{status}/x"}, {"token": "s3cret-token"})
    with pytest.raises(error) as caught:
        await source.check()

    assert told[0].startswith("Basic ")
    assert "s3cret-token" not in repr(caught.value)
    assert "s3cret-token" not in repr(source.credentials)


@pytest.mark.parametrize(
    "url", ["relative/path", "ftp://x/y", "https://user:s3cret@host/x"]
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        GitSource.create({"url": url}, {})

    assert "s3cret" not in str(caught.value)


def test_files_of_known_hosts_have_a_web_address() -> None:
    head = Head("main", None)

    assert (
        _page_url("git@github.com:a/b.git", head) == "https://github.com/a/b/blob/main/"
    )
    assert (
        _page_url("https://gitlab.com/a/b", head)
        == "https://gitlab.com/a/b/-/blob/main/"
    )
    assert _page_url("https://example.com/a/b", head) == ""

"""The file system source against real folder trees."""

import asyncio
import multiprocessing
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from wellhead.domain.entities import Entity
from wellhead.domain.errors import ConfigError, EntityError, FailureClass
from wellhead.domain.items import (
    Delete,
    Failure,
    Item,
    Ref,
    ScopeEnd,
    ScopeStart,
    Shown,
)
from wellhead.sources.connectors.file_system import FileSystemSource
from wellhead.sources.connectors.file_system.walk import PAGE_SIZE, open_file


def plant(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {path.name!a}")


async def read(path: object, **config: Any) -> list[Item]:
    source = FileSystemSource.create({"path": str(path), **config}, {})
    return [item async for item in source.read(None)]


def entities(items: list[Item]) -> list[Entity]:
    return [item.entity for item in items if isinstance(item, Shown)]


def names(items: list[Item]) -> list[str]:
    return [entity.source_id for entity in entities(items)]


def failures(items: list[Item]) -> list[Failure]:
    return [item for item in items if isinstance(item, Failure)]


async def test_files_are_listed_in_order_as_one_complete_scope(tmp_path: Path) -> None:
    plant(tmp_path, "b.md", "a.md", "y/2.md", "y/1.md", "x/deep/er/z.md", "x/w.md")
    items = await read(tmp_path)

    assert names(items) == [
        "a.md",
        "b.md",
        "x/w.md",
        "x/deep/er/z.md",
        "y/1.md",
        "y/2.md",
    ]
    assert (items[0], items[-1]) == (ScopeStart(), ScopeEnd(complete=True))


async def test_an_entity_tells_what_stat_tells(tmp_path: Path) -> None:
    plant(tmp_path, "some notes/a b.md")
    path = tmp_path / "some notes/a b.md"
    path.chmod(0o640)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    (entity,) = entities(await read(tmp_path))

    assert entity.name == "a b.md"
    assert entity.blob is not None
    assert entity.blob.size == path.stat().st_size
    assert entity.blob.open() == path
    assert [step.entity_id for step in entity.breadcrumbs] == ["some notes"]
    assert entity.url == path.as_uri()
    assert entity.updated_at is not None
    assert entity.updated_at.timestamp() == 1_700_000_000
    assert entity.raw == {
        "path": "some notes/a b.md",
        "size": path.stat().st_size,
        "mode": "0640",
        "modified": "2023-11-14T22:13:20+00:00",
    }


async def test_many_files_come_in_pages_without_loss(tmp_path: Path) -> None:
    plant(tmp_path, *(f"{n:05}.txt" for n in range(PAGE_SIZE * 2)))

    assert len(names(await read(tmp_path))) == PAGE_SIZE * 2


async def test_listing_opens_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, "a.md", "b.md")
    opened: list[str] = []

    def count(path: str) -> Path:
        opened.append(path)
        return Path(path)

    monkeypatch.setattr("wellhead.sources.connectors.file_system.walk.open_file", count)
    first, _ = entities(await read(tmp_path))

    assert opened == []
    assert first.blob is not None
    first.blob.open()
    assert opened == [str(tmp_path / "a.md")]


async def version(path: Path) -> str | None:
    return entities(await read(path))[0].source_version


async def test_the_version_is_stable_until_something_changes(tmp_path: Path) -> None:
    plant(tmp_path, "a.md")
    assert await version(tmp_path) == await version(tmp_path)


async def test_a_change_that_keeps_time_and_size_is_noticed(tmp_path: Path) -> None:
    plant(tmp_path, "a.md")
    path = tmp_path / "a.md"
    before, info = await version(tmp_path), path.stat()
    path.write_text("another of 'a.md'")
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))

    assert path.stat().st_size == info.st_size
    assert await version(tmp_path) != before


async def test_unsupported_and_special_files_are_left_out(tmp_path: Path) -> None:
    plant(tmp_path, "a.md", "program.bin", "image.iso")
    os.mkfifo(tmp_path / "pipe.md")

    assert names(await read(tmp_path)) == ["a.md"]


async def test_hidden_files_are_read_only_if_asked_for(tmp_path: Path) -> None:
    plant(tmp_path, ".hidden.md", ".folder/a.md", ".git/notes.md", "b.md")

    assert names(await read(tmp_path)) == ["b.md"]
    assert names(await read(tmp_path, include_hidden=True)) == [
        ".hidden.md",
        "b.md",
        ".folder/a.md",
    ]


async def test_patterns_choose_files(tmp_path: Path) -> None:
    plant(tmp_path, "a.md", "a.txt", "docs/b.md", "docs/old/c.md")

    assert names(await read(tmp_path, include=["*.md"], exclude=["old/"])) == [
        "a.md",
        "docs/b.md",
    ]
    assert names(await read(tmp_path, include=["/docs/"])) == [
        "docs/b.md",
        "docs/old/c.md",
    ]


async def test_ignore_files_count_where_they_are_and_below(tmp_path: Path) -> None:
    plant(tmp_path, "a.log", "keep.log", "build/x.md", "sub/a.log", "sub/b.md")
    plant(tmp_path, "sub/deep/b.md", "sub/deep/c.log", "other/b.md")
    (tmp_path / ".gitignore").write_text("*.log\n!keep.log\nbuild/\n[z-a]\n!\n")
    (tmp_path / "sub/.gitignore").write_text("/b.md\n")
    (tmp_path / "sub/deep/.ignore").write_text("!c.log\n")
    listed = ["keep.log", "other/b.md", "sub/deep/b.md", "sub/deep/c.log"]

    assert names(await read(tmp_path)) == listed
    assert len(names(await read(tmp_path, use_ignore_files=False))) == 8


async def test_the_ignore_file_wins_over_the_gitignore_file(tmp_path: Path) -> None:
    plant(tmp_path, "a.md", "b.md")
    (tmp_path / ".gitignore").write_text("*.md\n")
    (tmp_path / ".ignore").write_text("!a.md\n")

    assert names(await read(tmp_path)) == ["a.md"]


async def test_links_are_not_followed_by_default(tmp_path: Path) -> None:
    plant(tmp_path / "in", "a.md")
    plant(tmp_path / "out", "secret.md")
    (tmp_path / "in/link.md").symlink_to(tmp_path / "out/secret.md")
    (tmp_path / "in/folder").symlink_to(tmp_path / "out")

    assert names(await read(tmp_path / "in")) == ["a.md"]


async def test_followed_links_end_and_real_folders_keep_their_place(
    tmp_path: Path,
) -> None:
    plant(tmp_path / "in", "b/a.md")
    plant(tmp_path / "out", "far.md")
    (tmp_path / "in/a").symlink_to(tmp_path / "in/b")  # would come before b
    (tmp_path / "in/b/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/b/self").symlink_to("self")
    (tmp_path / "in/gone.md").symlink_to("nowhere.md")
    (tmp_path / "in/out").symlink_to(tmp_path / "out")
    (tmp_path / "in/twin.md").symlink_to("b/a.md")
    items = await read(tmp_path / "in", follow_symlinks=True)

    assert names(items) == ["twin.md", "b/a.md", "out/far.md"]
    assert failures(items) == []


async def test_names_that_are_not_utf8_are_escaped_and_can_be_opened(
    tmp_path: Path,
) -> None:
    plant(tmp_path, os.fsdecode(b"caf\xe9.md"), "back\\slash.md", "café.md")
    found = entities(await read(tmp_path))
    listed = {entity.source_id for entity in found}

    assert listed == {"caf\\udce9.md", "back\\\\slash.md", "café.md"}
    for entity in found:
        assert entity.name.encode()
        assert entity.blob is not None
        assert entity.blob.open().exists()


async def test_names_equal_but_for_normalisation_stay_apart(tmp_path: Path) -> None:
    plant(tmp_path, "caf\u00e9.md", "cafe\u0301.md")
    found = entities(await read(tmp_path))

    assert len({entity.key for entity in found}) == 2


async def test_a_large_file_is_a_permanent_failure(tmp_path: Path) -> None:
    with (tmp_path / "large.txt").open("wb") as file:
        file.truncate(1024 * 1024 + 1)
    (failure,) = failures(await read(tmp_path, max_file_mb=1))

    assert failure.ref == Ref("File", "large.txt")
    assert failure.failure_class is FailureClass.PERMANENT
    assert failure.source_version is not None


async def test_one_file_can_be_the_whole_source(tmp_path: Path) -> None:
    plant(tmp_path, "a.md", "b.md")
    (tmp_path / ".gitignore").write_text("*.md\n")

    assert names(await read(tmp_path / "a.md")) == ["a.md"]


async def test_an_empty_folder_does_not_claim_to_be_meant_so(tmp_path: Path) -> None:
    assert await read(tmp_path) == [
        ScopeStart(),
        ScopeEnd(complete=True, confirmed_empty=False),
    ]


@pytest.mark.parametrize("name", ["gone", "gone.md", "file.md/below", "program.bin"])
async def test_a_root_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    plant(tmp_path, "file.md", "program.bin")
    source = FileSystemSource.create({"path": str(tmp_path / name)}, {})

    with pytest.raises(ConfigError, match=name):
        await source.check()
    with pytest.raises(ConfigError, match=name):
        await anext(source.read(None))


async def test_a_root_replaced_meanwhile_makes_the_listing_incomplete(
    tmp_path: Path,
) -> None:
    plant(tmp_path / "root", *(f"{n}.md" for n in range(PAGE_SIZE + 1)))
    items: list[Item] = []
    source = FileSystemSource.create({"path": str(tmp_path / "root")}, {})
    async for item in source.read(None):
        if len(items) == 1:
            (tmp_path / "root").rename(tmp_path / "old")
            plant(tmp_path / "root", "other.md")
        items.append(item)

    assert items[-1] == ScopeEnd(complete=False)
    assert [failure.ref for failure in failures(items)] == [None]


async def test_a_folder_removed_meanwhile_is_gone_not_wrong(tmp_path: Path) -> None:
    plant(tmp_path, *(f"{n}.md" for n in range(PAGE_SIZE)), "below/a.md")
    items: list[Item] = []
    source = FileSystemSource.create({"path": str(tmp_path)}, {})
    async for item in source.read(None):
        if len(items) == 1:
            shutil.rmtree(tmp_path / "below")
        items.append(item)

    assert "below/a.md" not in names(items)
    assert failures(items) == []
    assert items[-1] == ScopeEnd(complete=True)


def test_opening_what_is_gone_can_be_tried_again(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    for name in ("gone.md", "pipe.md"):
        with pytest.raises(EntityError) as caught:
            open_file(str(tmp_path / name))

        assert caught.value.failure_class is FailureClass.TRANSIENT


async def test_named_files_are_fetched_anew(tmp_path: Path) -> None:
    plant(tmp_path, "a.md", "x/b.md", "x/c.md", "y/d.md", "ignored.md")
    (tmp_path / ".gitignore").write_text("ignored.md\n")
    refs = [Ref("File", one) for one in ("x/b.md", "x/gone.md", "a.md", "ignored.md")]
    source = FileSystemSource.create({"path": str(tmp_path)}, {})
    items = [item async for item in source.fetch(refs)]

    assert names(items) == ["a.md", "x/b.md"]
    assert [item for item in items if isinstance(item, Delete)] == [
        Delete(refs[1]),
        Delete(refs[3]),
    ]


async def test_nothing_fetched_from_an_empty_folder_is_deleted(tmp_path: Path) -> None:
    source = FileSystemSource.create({"path": str(tmp_path)}, {})
    items = [item async for item in source.fetch([Ref("File", "a.md")])]

    assert [item.ref for item in failures(items)] == [Ref("File", "a.md")]


@pytest.mark.parametrize("config", [{"path": "here"}, {"path": "/", "include": ["!"]}])
def test_a_wrong_configuration_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FileSystemSource.create(config, {})


def _report(path: str, pipe: Any) -> None:
    """Read as a user who may not read everything (root may)."""
    os.setgid(65534)
    os.setuid(65534)

    async def report() -> tuple[list[str], list[str], bool, list[str]]:
        items = await read(path)
        closed = []
        for entity in entities(items):
            try:
                assert entity.blob is not None
                entity.blob.open()
            except EntityError as error:
                closed.append(f"{entity.source_id} {error.failure_class}")
        told = [f"{one.ref} {one.reason}" for one in failures(items)]
        end = items[-1]
        assert isinstance(end, ScopeEnd)
        return names(items), told, end.complete, closed

    pipe.send(asyncio.run(report()))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_what_may_not_be_read_is_told_and_nothing_is_swept(tmp_path: Path) -> None:
    plant(tmp_path, "a.md", "closed.md", "shut/b.md", "blind/c.md")
    for folder in (tmp_path, *list(tmp_path.parents)[:3]):
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH | stat.S_IROTH)
    (tmp_path / "closed.md").chmod(0)
    (tmp_path / "shut").chmod(0)
    (tmp_path / "blind").chmod(0o444)
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_report, args=(str(tmp_path), theirs))
    process.start()
    assert ours.poll(60)
    listed, told, is_complete, closed = ours.recv()
    process.join()

    assert listed == ["a.md", "closed.md"]
    assert told == [
        "Ref(type='File', source_id='blind/c.md') Not readable: Permission denied",
        "None The folder 'shut/' cannot be read: Permission denied",
    ]
    assert not is_complete
    assert closed == ["closed.md transient"]

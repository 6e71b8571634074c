"""Documents are read in processes that keep limits, die alone and come back."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from email.message import EmailMessage
from pathlib import Path

import pytest

from wellhead.domain.errors import EntityError, FailureClass, FailureStage
from wellhead.sync.convert.converter import Converted, Converter
from wellhead.sync.convert.process import ConvertLimits

DEADLINE_SECONDS = 60


async def convert(
    converter: Converter, path: Path, data: bytes | None = None
) -> Converted:
    if data is not None:
        await asyncio.to_thread(path.write_bytes, data)
    return await converter.text_of(path, name=path.name)


async def refusal(
    converter: Converter, path: Path, data: bytes | None = None
) -> EntityError:
    with pytest.raises(EntityError) as caught:
        await convert(converter, path, data)
    assert caught.value.stage is FailureStage.CONVERT
    return caught.value


async def test_an_attachment_over_a_limit_does_not_cost_the_mail(
    tmp_path: Path,
) -> None:
    mail = EmailMessage()
    mail["Subject"] = "With a heavy part"
    mail.set_content("the plain body")
    mail.add_attachment(_large_html(), subtype="html", filename="heavy.html")
    converter = Converter(limits=ConvertLimits(memory_bytes=400 * 1024 * 1024))

    got = await convert(converter, tmp_path / "a.eml", bytes(mail))

    await converter.close()
    assert "the plain body" in got.text
    assert got.text.rstrip().endswith("## Attachment: heavy.html")


@pytest.mark.parametrize(
    ("limits", "sections", "reason"),
    [
        (ConvertLimits(seconds=0.05), 60_000, "took longer than 0.05 s"),
        (ConvertLimits(cpu_seconds=0), 200_000, "took more than 0 s of CPU time"),
        (ConvertLimits(memory_bytes=400 * 1024 * 1024), 60_000, "400 MB of memory"),
        (ConvertLimits(text_bytes=1024 * 1024), 30_000, "text is larger than 1 MB"),
        (ConvertLimits(file_bytes=1024 * 1024), 20_000, "file is larger than 1 MB"),
    ],
    ids=["time", "cpu", "memory", "text", "file"],
)
async def test_a_document_over_a_limit_is_told_which(
    tmp_path: Path, limits: ConvertLimits, sections: int, reason: str
) -> None:
    converter = Converter(limits=limits)
    try:
        error = await refusal(
            converter, tmp_path / "a.html", _large_html(sections).encode()
        )
    finally:
        await converter.close()

    assert error.failure_class is FailureClass.PERMANENT
    assert reason in str(error)


async def test_a_killed_child_is_no_fault_of_the_document(tmp_path: Path) -> None:
    converter = Converter()
    await convert(converter, tmp_path / "small.html", b"<p>x</p>")
    (child,) = converter._children
    large = asyncio.create_task(
        refusal(converter, tmp_path / "a.html", _large_html(200_000).encode())
    )
    while child.usable:  # noqa: ASYNC110  # until it has the document
        await asyncio.sleep(0.01)

    os.kill(child.pid, signal.SIGKILL)

    assert (await large).failure_class is FailureClass.TRANSIENT
    assert (await convert(converter, tmp_path / "small.html")).text
    assert {other.pid for other in converter._children} != {child.pid}
    await converter.close()


async def test_a_child_killed_between_documents_is_replaced(tmp_path: Path) -> None:
    converter = Converter()
    await convert(converter, tmp_path / "a.html", b"<p>x</p>")
    (child,) = converter._children

    os.kill(child.pid, signal.SIGKILL)
    while child.usable:  # noqa: ASYNC110  # the loop hears of it when it may
        await asyncio.sleep(0.01)

    assert (await convert(converter, tmp_path / "a.html")).text
    await converter.close()


async def test_a_cancelled_read_ends_its_child(tmp_path: Path) -> None:
    converter = Converter()
    await convert(converter, tmp_path / "small.html", b"<p>x</p>")
    (child,) = converter._children
    call = asyncio.create_task(
        convert(converter, tmp_path / "a.html", _large_html().encode())
    )
    while child.usable:  # noqa: ASYNC110  # it begins when it may
        await asyncio.sleep(0.001)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert _state(child.pid) == ""
    assert (await convert(converter, tmp_path / "small.html")).text
    await converter.close()


async def test_a_child_serves_so_many_documents_and_no_more(tmp_path: Path) -> None:
    converter = Converter(limits=ConvertLimits(documents_per_process=2))
    pids = []
    for _ in range(3):
        await convert(converter, tmp_path / "a.html", b"<p>x</p>")
        pids += [child.pid for child in converter._children]

    assert len(set(pids)) == 2
    await converter.close()


async def test_documents_are_read_side_by_side(tmp_path: Path) -> None:
    converter = Converter(processes=2)
    paths = [tmp_path / f"{number}.html" for number in range(5)]

    got = await asyncio.gather(
        *(convert(converter, path, f"<p>{path.name}</p>".encode()) for path in paths)
    )

    assert [one.text.strip() for one in got] == [path.name for path in paths]
    assert len(converter._children) == 2
    await converter.close()


async def test_a_converter_that_cannot_start_is_tried_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converter = Converter()
    for command in ("/nowhere/python", "/bin/false"):
        monkeypatch.setattr(sys, "executable", command)

        error = await refusal(converter, tmp_path / "a.html", b"<p>x</p>")

        assert error.failure_class is FailureClass.TRANSIENT
        assert "could be started" in str(error)
    await converter.close()


async def test_closing_ends_children_at_work_and_refuses_more(tmp_path: Path) -> None:
    converter = Converter()
    await convert(converter, tmp_path / "small.html", b"<p>x</p>")
    (child,) = converter._children
    call = asyncio.create_task(
        refusal(converter, tmp_path / "a.html", _large_html().encode())
    )
    await asyncio.sleep(0.05)

    await converter.close()
    await converter.close()

    assert (await call).failure_class is FailureClass.TRANSIENT
    assert _state(child.pid) == ""
    error = await refusal(converter, tmp_path / "small.html")
    assert error.failure_class is FailureClass.TRANSIENT


PARENT = """
import asyncio, sys
from pathlib import Path
from wellhead.sync.convert.converter import Converter

async def main(path):
    converter = Converter()
    await converter.text_of(path.with_name("small.html"), name="small.html")
    (child,) = converter._children
    call = asyncio.create_task(converter.text_of(path, name=path.name))
    while child.usable:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.1)
    print(child.pid, flush=True)
    await call
    await asyncio.sleep(600)

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_a_child_at_work_dies_with_its_killed_parent(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(_large_html(200_000))
    (tmp_path / "small.html").write_text("<p>x</p>")
    script = tmp_path / "parent.py"
    script.write_text(PARENT)

    (pid,) = await asyncio.to_thread(_start_and_kill, script, tmp_path / "a.html")

    await asyncio.to_thread(_wait_until_gone, pid)


def _start_and_kill(script: Path, document: Path) -> list[int]:
    command = [sys.executable, str(script), str(document)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:  # our own
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
    return pids


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while _state(pid) not in ("Z", "X", ""):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _large_html(sections: int = 60_000) -> str:
    """Keeps the parser busy for a second or more, and needs a gigabyte."""
    body = "".join(
        f"<h2>{number}</h2><p>some <b>more</b> words</p>"
        f"<table><tr><td>{number}</td></tr></table>"
        for number in range(sections)
    )
    return f"<html><body>{body}</body></html>"

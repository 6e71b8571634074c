"""`make demo`: syncs real files, changes some, syncs again, and searches them."""

import argparse
import json
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from wellhead.app.home import Home
from wellhead.app.postgres import EmbeddedPostgres
from wellhead.app.postgres_home import SYSTEM_HOME
from wellhead.app.settings import Settings, environment
from wellhead.domain.errors import StartError, WellheadError
from wellhead.domain.files import readable_suffix

FILES = 300
TEXT_BYTES = 1_500_000
"""About 2,800 passages, which take a minute on two cores."""
USUAL_BYTES = 4_300
LARGEST_BYTES = 40_000
STOP_SECONDS = 40
SUFFIXES = (
    *("", ".cfg", ".css", ".html", ".ini", ".json", ".md", ".py", ".pyi"),
    *(".rst", ".toml", ".txt", ".xml", ".yaml", ".yml"),
)
SKIPPED = {"test", "tests", "__pycache__", "idlelib", "lib2to3", "sboms", "RECORD"}
COLLECTION = "demo"
QUERIES = (
    "permission to redistribute modified copies",
    "how to read a compressed archive",
)


class DemoError(WellheadError):
    """The demonstration did not show what it promises."""


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".demo"))
    parser.add_argument("--embedder", default="minilm")
    parser.add_argument("--files", type=int, default=FILES)
    given = parser.parse_args(words)
    began = time.monotonic()
    try:
        folder = given.folder.absolute()
        _wipe(folder)
        files = folder / "files"
        copied = copy_corpus(files, most=given.files)
        size = sum(file.stat().st_size for file in copied) / 1e6
        _say(f"Copied {len(copied)} files of this Python ({size:.1f} MB) to {files}")
        settings = Settings(
            data_dir=folder / "data", port=0, embedder=given.embedder, log_level="INFO"
        )
        with _serving(settings, folder / "serve.log") as url:
            _show(Client(settings, url), files, copied)
    except WellheadError as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1
    _say_goodbye(settings, time.monotonic() - began)
    return 0


def _wipe(folder: Path) -> None:
    data = folder / "data"
    if Home(data).served() is not None:
        raise StartError(f"a server runs on {data}: stop it first")
    if (data / "postgres").exists():
        EmbeddedPostgres.ensure(data).stop()
        cluster = (data / "postgres").resolve()
        if cluster.is_relative_to(SYSTEM_HOME):  # where it lives under root
            shutil.rmtree(cluster.parent, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def copy_corpus(to: Path, *, most: int = FILES) -> list[Path]:
    """Copy files of many kinds from this Python's own installation, always the same."""
    copied, used = [], 0
    texts: set[bytes] = set()
    for root, file in _candidates():
        content = file.read_bytes()
        if content in texts or used + len(content) > TEXT_BYTES:
            continue
        if not _is_text(content):
            continue
        target = to / root.name / file.relative_to(root)
        if not target.suffix:
            target = target.with_name(f"{target.name}.txt")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        copied.append(target)
        texts.add(content)  # many packages bring the same licence
        used += len(content)
        if len(copied) == most:
            break
    return copied


def _candidates() -> Iterator[tuple[Path, Path]]:
    """Take turns among the kinds of files, and begin with our own documents."""
    ours = Path(__file__).parents[3]
    documents = [ours / "README.md", *sorted((ours / "docs").rglob("*.md"))]
    yield from ((ours, file) for file in documents if _is_fit(file))
    kinds: dict[str, list[tuple[Path, Path]]] = {one: [] for one in SUFFIXES}
    for name in ("stdlib", "purelib"):
        root = Path(sysconfig.get_path(name))
        for file in sorted(root.rglob("*")):
            parts = file.relative_to(root).parts
            is_part = SKIPPED.isdisjoint(parts) and not any(p[0] == "." for p in parts)
            is_twice = name == "stdlib" and "site-packages" in file.parts
            if file.suffix in kinds and is_part and not is_twice and _is_fit(file):
                kinds[file.suffix].append((root, file))
    for found in kinds.values():
        found.sort(key=lambda one: (_unusual(one[1]), str(one[1])))
    taken = chain.from_iterable(zip_longest(*kinds.values()))
    yield from (one for one in taken if one is not None)


def _unusual(file: Path) -> int:
    return abs(file.stat().st_size - USUAL_BYTES)


def _is_fit(file: Path) -> bool:
    if not file.is_file() or not 200 <= file.stat().st_size <= LARGEST_BYTES:
        return False
    name = file.name if file.suffix else f"{file.name}.txt"
    return readable_suffix(name, None) is not None


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


@contextmanager
def _serving(settings: Settings, log: Path) -> Iterator[str]:
    """Run `wellhead serve` as anybody would."""
    _say("Starting `wellhead serve` (PostgreSQL, API, worker) …")
    with log.open("ab") as output:
        server = subprocess.Popen(  # our own program
            [sys.executable, "-m", "wellhead.app.cli", "serve", "--json"],
            stdout=subprocess.PIPE,
            stderr=output,
            env=environment(settings, alone=True),
        )
    try:
        line = server.stdout.readline() if server.stdout is not None else b""
        if not line:
            raise StartError(f"the server does not start: see {log}")
        yield json.loads(line)["url"]
    finally:
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


class Client:
    """Runs `wellhead` commands against the server."""

    def __init__(self, settings: Settings, url: str) -> None:
        chosen = settings.model_copy(update={"url": url})
        self._environment = environment(chosen, alone=True)

    def show(self, *words: str) -> None:
        """Run a command whose output is for the reader."""
        self._run(words, ["--no-json"], output=None)

    def ask(self, *words: str) -> Any:
        """Run a command and return what it says."""
        return json.loads(self._run(words, ["--json"], output=subprocess.PIPE))

    def _run(
        self, words: Sequence[str], more: Sequence[str], *, output: int | None
    ) -> bytes:
        _say(f"$ wellhead {' '.join(words)}")
        command = [sys.executable, "-m", "wellhead.app.cli", *words, *more]
        done = subprocess.run(  # noqa: S603  # our own program
            command, check=False, stdout=output, env=self._environment
        )
        if done.returncode:
            raise DemoError(f"`wellhead {words[0]}` ended with {done.returncode}")
        return done.stdout or b""


def _show(client: Client, files: Path, copied: list[Path]) -> None:
    sync = ("sync", str(files), "--collection", COLLECTION)
    client.show(*sync)
    client.show("jobs", "list", "--collection", COLLECTION)
    changed, removed = copied[len(copied) // 2], copied[-1]
    with changed.open("a", encoding="utf-8") as stream:
        stream.write("\n# The heron waits at the weir until the water is still.\n")
    added = files / "added.md"
    added.write_text("# Added\n\nA lighthouse keeper counts the ships of the night.\n")
    removed.unlink()
    _say(f"Changed {changed.name}, added {added.name}, deleted {removed.name}")
    job = client.ask(*sync)["job"]
    _expect(job)
    client.show("jobs", "list", "--collection", COLLECTION)
    for query in QUERIES:
        client.show("search", query, "--collection", COLLECTION, "--limit", "3")
    question = ("search", "lighthouse keeper", "--strategy", "keyword")
    found = client.ask(*question, "--collection", COLLECTION)
    names = [one["name"] for one in found["results"]]
    if added.name not in names:
        raise DemoError(f"{added.name} was not found, only {names}")
    _say(f"The file that was added is found: {added.name}")


def _expect(job: dict[str, Any]) -> None:
    counts = {
        name: job[f"entities_{name}"]
        for name in ("inserted", "updated", "deleted", "failed")
    }
    expected = {"inserted": 1, "updated": 1, "deleted": 1, "failed": 0}
    if counts != expected:
        raise DemoError(f"the second sync counted {counts}, not {expected}")
    _say("The second job: 1 inserted, 1 updated, 1 deleted, the rest untouched.")


def _say(line: str) -> None:
    sys.stdout.write(f"\n{line}\n")
    sys.stdout.flush()


def _say_goodbye(settings: Settings, seconds: float) -> None:
    wellhead = Path(sys.executable).with_name("wellhead")
    _say(
        f"Done in {seconds:.0f} s. The data is in {settings.data_dir}. Try next:\n"
        f"  {wellhead} search 'your question' --collection {COLLECTION} "
        f"--data-dir {settings.data_dir}\n"
        f"  {wellhead} serve --data-dir {settings.data_dir}\n"
        f"  {wellhead} sync ~/a/folder --collection notes"
    )


if __name__ == "__main__":
    sys.exit(main())

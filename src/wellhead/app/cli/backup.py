"""`wellhead backup` and `wellhead restore`."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from wellhead.app.cli.options import AsJson, DataDir
from wellhead.app.cli.output import facts, show


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Example: wellhead backup /mnt/disk/wellhead-monday")(backup)
    app.command(
        epilog="Example: wellhead restore /mnt/disk/wellhead-monday --data-dir ~/new"
    )(restore)


def backup(
    target: Annotated[Path, typer.Argument(help="A directory that is not there yet.")],
    include_secret_key: Annotated[
        bool,
        typer.Option(
            "--include-secret-key",
            help="Put in the key that decrypts credentials, and the local API key. "
            "Without it a stolen backup opens no other system.",
        ),
    ] = False,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Copy everything at one moment; syncs and searches go on meanwhile."""
    from wellhead.app.backup import back_up
    from wellhead.app.settings import load

    target = target.expanduser().absolute()
    with _ended_properly(), _progress() as tell:
        made = back_up(
            load(data_dir=data_dir),
            target,
            include_secret_key=include_secret_key,
            tell=tell,
        )
    show({"backup": str(target), **_summary(made)}, facts, as_json=json)


def restore(
    source: Annotated[Path, typer.Argument(help="What `wellhead backup` made.")],
    check: Annotated[
        bool, typer.Option("--check", help="Only read it, and compare checksums.")
    ] = False,
    data_dir: DataDir = None,
    json: AsJson = None,
) -> None:
    """Bring a backup into an empty data directory; the server must not run there.

    With WELLHEAD_DATABASE_URL that database has to be empty as well.
    """
    from wellhead.app import restore as restoring
    from wellhead.app.settings import load

    source, settings = source.expanduser().absolute(), load(data_dir=data_dir)
    with _ended_properly(), _progress() as tell:
        if check:
            found = restoring.check(source, tell=tell)
            data = {"checked": str(source), **_summary(found)}
        else:
            restored = restoring.restore(settings, source, tell=tell)
            data = {
                "restored": str(settings.data_dir),
                "backup": str(source),
                **_summary(restored.manifest),
                "entities_to_sync_again": restored.lost,
                "open_jobs": restored.open_jobs,
                "credentials": restored.credentials,
                "credentials_unreadable": restored.unreadable,
                "notes": restoring.notes(settings, restored),
            }
    show(data, _with_notes, as_json=json)


def _summary(manifest: Any) -> dict[str, Any]:
    return {
        "created_at": manifest.created_at.isoformat(),
        "wellhead": manifest.wellhead,
        "collections": len(manifest.collections),
        "entities": sum(one.entities for one in manifest.collections),
        "chunks": sum(one.chunks for one in manifest.collections),
        "files": len(manifest.files),
        "bytes": manifest.size(),
        "has_secret_key": manifest.has_secret_key,
    }


def _with_notes(data: dict[str, Any]) -> Any:
    from rich.console import Group

    notes = [f"- {note}" for note in data.get("notes", [])]
    return Group(facts({k: v for k, v in data.items() if k != "notes"}), *notes)


@contextmanager
def _ended_properly() -> Iterator[None]:
    """Clean up on SIGTERM as on Ctrl-C."""

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show on the terminal what goes on, on stderr; nothing where there is none."""
    if not sys.stderr.isatty():
        yield lambda _step, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def tell(step: str, done: int, total: int) -> None:
            bar.update(task, description=step, completed=done, total=total or None)

        yield tell

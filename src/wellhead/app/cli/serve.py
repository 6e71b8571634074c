"""`wellhead serve` and `wellhead worker`: the long-running processes."""

from typing import Annotated

import typer

from wellhead.app.cli.options import AsJson, DataDir
from wellhead.app.cli.output import wants_json


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Example: wellhead serve --port 8001 --workers 2")(serve)
    app.command(epilog="Example: WELLHEAD_DATABASE_URL=postgresql://… wellhead worker")(
        worker
    )


def serve(
    host: Annotated[str | None, typer.Option(help="The address to bind.")] = None,
    port: Annotated[int | None, typer.Option(help="0 picks a free one.")] = None,
    data_dir: DataDir = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes.")] = None,
    json: AsJson = None,
) -> None:
    """Run the server: PostgreSQL (unless WELLHEAD_DATABASE_URL), API and workers.

    Ends on Ctrl-C or SIGTERM; sync jobs under way go on at the next start.
    """
    from wellhead.app import foreground
    from wellhead.app.settings import load

    settings = load(host=host, port=port, data_dir=data_dir, workers=workers)
    foreground.run(settings, as_json=wants_json(asked=json))


def worker(data_dir: DataDir = None) -> None:
    """Run one worker process on WELLHEAD_DATABASE_URL, or beside a running `serve`.

    On SIGTERM its jobs are handed to other workers, which go on where it stopped.
    """
    from wellhead.app.local import served_settings
    from wellhead.app.processes import run_worker
    from wellhead.app.settings import load

    run_worker(served_settings(load(data_dir=data_dir)))

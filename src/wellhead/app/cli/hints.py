"""What a person may want to do next, with the command that does it."""

import shlex
from pathlib import Path
from typing import Any


def next_steps(
    server: Any, connection_id: str, url: str | None, data_dir: Path | None
) -> list[dict[str, str]]:
    """Return why and how: consent to give, deletes that are held, what has failed."""
    from wellhead.app.cli.server import CommandError, segment

    path = f"/source-connections/{segment(connection_id)}"
    try:
        found = server.get(path)
        held = found.get("deletes_held")
        failures = server.page(f"{path}/failures", limit=1)
    except CommandError:  # advice is no reason to fail
        return []
    where = _where(url, data_dir)
    steps = []
    is_unread = found.get("status") in ("pending_auth", "needs_reauth")
    if is_unread and found["auth"]["method"] in ("oauth_browser", "oauth_byoc"):
        steps.append(
            {
                "why": "Its owner has to give consent in a browser. For a link:",
                "command": f"wellhead connections authorize {connection_id}{where}",
            }
        )
    if held:
        count = held["count"]
        steps.append(
            {
                "why": f"{count:,} deletes are held, because so much is missing from "
                "the source at once. If that is right:",
                "command": f"wellhead connections run {connection_id} "
                f"--confirm-deletes {count}{where}",
            }
        )
    if failures.total:
        steps.append(
            {
                "why": f"{failures.total:,} in quarantine. To see why:",
                "command": f"wellhead failures list {connection_id}{where}",
            }
        )
    return steps


def _where(url: str | None, data_dir: Path | None) -> str:
    options = {"--url": url, "--data-dir": data_dir}
    given = (f" {name} {shlex.quote(str(one))}" for name, one in options.items() if one)
    return "".join(given)

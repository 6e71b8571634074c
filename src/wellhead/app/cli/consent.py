"""Waiting for consent that is given in a browser, and verifying it."""

import time
from typing import Any

import typer

from wellhead.app.cli.server import CommandError, RefusedError, Server, segment

POLL_SECONDS = 1.0
PATIENCE_SECONDS = 15 * 60.0
"""As long as link and answer live."""
_NOT_YET = 400


def own_client(
    source: dict[str, Any], ident: str, secret: str | None
) -> dict[str, str]:
    """Return how a request names a client of one's own; asks for what is missing."""
    if secret is None:
        secret = typer.prompt("Client secret", hide_input=True, err=True)
    if source["oauth_type"] == "oauth1":
        return {"consumer_key": ident, "consumer_secret": secret}
    return {"client_id": ident, "client_secret": secret}


def wait_for_consent(server: Server, made: dict[str, Any]) -> dict[str, Any]:
    """Say where to go, wait until consent was given there, and verify it.

    Ctrl-C leaves the connection as it is. Raises CommandError when it takes too long.
    """
    auth = made["auth"]
    typer.echo(f"Open this in a browser and agree:\n\n  {auth['auth_url']}\n", err=True)
    path = f"/source-connections/{segment(made['id'])}/verify-oauth"
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        time.sleep(POLL_SECONDS)
        try:
            found: dict[str, Any] = server.post(
                path, {"claim_token": auth["claim_token"]}
            )
        except RefusedError as error:
            if error.status != _NOT_YET:
                raise
        else:
            return found
    raise CommandError(
        "nobody gave consent in time: get a new link with "
        f"`wellhead connections authorize {made['id']}`"
    )

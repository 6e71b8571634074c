"""What the operator set for OAuth: clients from a file, and where browsers may go."""

import tomllib
from pathlib import Path
from typing import Any

from wellhead.app.settings import Settings
from wellhead.domain.errors import StartError
from wellhead.domain.oauth import OAuthClient, OAuthPolicy

FILE = "oauth_clients.toml"
_FIELDS = {"client_id", "client_secret"}
_MORE = {"scopes"}


def read_oauth(settings: Settings) -> OAuthPolicy:
    """Return the policy. Raises StartError that names the file and what is wrong."""
    file = settings.oauth_clients or settings.data_dir / FILE
    must_be_there = settings.oauth_clients is not None
    return OAuthPolicy(
        clients=_clients(file) if must_be_there or file.exists() else {},
        clients_file=str(file),
        public_url=settings.public_url,
        redirect_origins=settings.redirect_origins,
    )


def _clients(file: Path) -> dict[str, OAuthClient]:
    try:
        found = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise StartError(f"{file} cannot be read ({error.strerror})") from error
    except ValueError:
        # the parser's words would repeat a line, and lines hold secrets
        raise StartError(f"{file} is no TOML in UTF-8") from None
    return {name: _client(file, name, table) for name, table in found.items()}


def _client(file: Path, name: str, table: Any) -> OAuthClient:
    is_known = isinstance(table, dict) and table.keys() - _MORE == _FIELDS
    if not is_known or not all(map(_is_text, (table[one] for one in _FIELDS))):
        raise StartError(
            f"{file}: [{name}] must hold client_id and client_secret, each a text in "
            "quotes; it may hold scopes, and nothing else"
        )
    scopes = table.get("scopes")
    if scopes is None:
        return OAuthClient(table["client_id"], table["client_secret"])
    if not isinstance(scopes, list) or not all(map(_is_text, scopes)):
        raise StartError(f"{file}: [{name}] scopes must be a list of texts in quotes")
    return OAuthClient(table["client_id"], table["client_secret"], tuple(scopes))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""

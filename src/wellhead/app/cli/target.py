"""What `wellhead sync` is given: a folder, a repository, a database, or a source."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from wellhead.domain.errors import WellheadError

SHORT_NAME = re.compile(r"[a-z][a-z0-9_]*")
REPOSITORY = re.compile(
    r"(git@|ssh://|git://).+|https?://(.+\.git/?|"
    r"(github\.com|gitlab\.com|bitbucket\.org|codeberg\.org)/[^/]+/[^/]+/?)"
)
DATABASE = ("postgresql://", "postgres://")
NAME_LENGTHS = range(4, 43)


class TargetError(WellheadError):
    """The command line does not say what to sync."""


@dataclass(frozen=True, slots=True)
class Target:
    """A source and how it is configured."""

    short_name: str
    config: dict[str, Any]
    credentials: dict[str, Any] = field(default_factory=dict, repr=False)
    name: str | None = None
    """A name for people, where a good one is known."""


def read_target(
    what: str, config: Sequence[str] = (), credentials: Sequence[str] = ()
) -> Target:
    """Return what is meant; a folder wins over a source of that name."""
    found = _recognise(what)
    name = (found.name or "").strip()
    return Target(
        found.short_name,
        found.config | read_pairs(config),
        found.credentials | read_pairs(credentials),
        name if len(name) in NAME_LENGTHS else None,
    )


def with_lists(target: Target, source: Mapping[str, Any]) -> Target:
    """Let one bare value stand for a list of one, where the source wants a list."""
    lists = {
        one["name"]
        for one in source["config_fields"]["fields"]
        if one["type"] == "array"
    }
    config = {
        name: [value] if name in lists and isinstance(value, str) else value
        for name, value in target.config.items()
    }
    return replace(target, config=config)


def _recognise(what: str) -> Target:
    if what.startswith("git:") and not what.startswith("git://"):
        return _repository(what.removeprefix("git:"))
    if what.startswith(DATABASE):
        return _database(what)
    if REPOSITORY.fullmatch(what):
        return _repository(what)
    path = Path(what).expanduser()
    if path.exists() or "/" in what:
        whole = path.resolve()
        return Target("file_system", {"path": str(whole)}, name=whole.name)
    if SHORT_NAME.fullmatch(what):
        return Target(what, {})
    raise TargetError(
        f"'{what}' is no folder, repository, database or source; see "
        "`wellhead sync --help`"
    )


def _repository(url: str) -> Target:
    local = Path(url).expanduser()
    where = str(local.resolve()) if local.exists() else url
    name = where.rstrip("/").removesuffix(".git").rpartition("/")[2]
    return Target("git", {"url": where}, name=name)


def _database(url: str) -> Target:
    """Keep the password apart: it is a credential, the rest is configuration."""
    parts = urlsplit(url)
    user, host = parts.netloc.rpartition("@")[::2]
    name, _, password = user.partition(":")
    netloc = f"{name}@{host}" if name else host
    return Target(
        "postgresql",
        {"url": parts._replace(netloc=netloc).geturl()},
        {"password": unquote(password)} if password else {},
        parts.path.strip("/") or None,
    )


def read_pairs(words: Sequence[str]) -> dict[str, Any]:
    """Read `key=value` words; a value that opens with [ or { is JSON."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            # the word may be a secret, so it is not repeated
            raise TargetError("write --config and --credential as key=value")
        try:
            found[key] = json.loads(value) if value[:1] in ("[", "{") else value
        except ValueError as error:
            raise TargetError(f"the value of {key} is not JSON") from error
    return found

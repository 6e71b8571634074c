"""A repository at one commit: opened where it is, or fetched without its history."""

import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from urllib.parse import unquote, urlsplit

from dulwich.client import (
    GitClient,
    HTTPProxyUnauthorized,
    HTTPUnauthorized,
    get_transport_and_path,
)
from dulwich.config import ConfigDict
from dulwich.diff_tree import tree_changes
from dulwich.errors import GitProtocolError, NotGitRepository
from dulwich.object_store import iter_tree_contents
from dulwich.objects import Commit, ObjectID, Tag
from dulwich.refs import Ref
from dulwich.repo import Repo

from wellhead.domain.errors import (
    ConfigError,
    CredentialsError,
    CursorInvalidError,
    EntityError,
    FailureClass,
    RetryableError,
)

# never ask on a terminal; what the user's ssh knows and may is what counts
_SSH = "ssh -o BatchMode=yes -o ConnectTimeout=30"
_HTTP_TIMEOUT_SECONDS = b"120"
_DENIED = ("permission denied", "http resp 403", "authentication failed")
_ABSENT = (
    "not found",
    "does not appear to be a git repository",
    "does not exist",
    "not exported",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a repository is and how to get in."""

    url: str
    branch: str | None = None
    username: str | None = None
    token: str | None = None

    @property
    def local(self) -> Path | None:
        """The folder of a repository on this machine."""
        if self.url.startswith("file://"):
            return Path(unquote(urlsplit(self.url).path))
        if self.url.startswith(("/", "~")):
            return Path(self.url).expanduser()
        return None


@dataclass(frozen=True, slots=True)
class Head:
    """The commit that a branch points at; without one the repository is empty."""

    branch: str
    commit: ObjectID | None


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A regular file of a commit."""

    path: bytes
    blob: ObjectID


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one path between two commits."""

    path: bytes
    file: TreeFile | None


def find_head(place: Place) -> Head:
    """Ask the repository, without reading its content."""
    with _translated(place.url):
        if place.local is not None:
            with Repo(place.local) as repo:
                return _head(place, repo.get_refs(), repo.refs.get_symrefs())
        client, path = _client(place)
        found = client.get_refs(path.encode())
        refs = {ref: sha for ref, sha in found.refs.items() if sha is not None}
        return _head(place, refs, found.symrefs)


class Repository:
    """Its methods block, so call them in a thread; several may be used at once."""

    def __init__(self, place: Place, head: Head, *, also: str | None = None) -> None:
        """Open it, for a remote one after fetching the head and the commit `also`."""
        self._lock = Lock()
        self._folder = tempfile.mkdtemp(prefix="wellhead-git-")
        try:
            self._repo = self._fetch(place, head, also)
        except BaseException:
            shutil.rmtree(self._folder)
            raise
        self.head = self._commit(head.commit) if head.commit else None

    def close(self) -> None:
        self._repo.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def committed_at(self) -> datetime | None:
        """When the head was committed."""
        if self.head is None:
            return None
        try:
            return datetime.fromtimestamp(self.head.commit_time, UTC)
        except (ValueError, OverflowError, OSError):
            return None

    def files(self) -> Iterator[TreeFile]:
        """Yield the regular files of the head, in order."""
        if self.head is None:
            return
        for entry in iter_tree_contents(self._repo.object_store, self.head.tree):
            if _is_file(entry.mode) and entry.path and entry.sha:
                yield TreeFile(entry.path, entry.sha)

    def changes(self, since: str) -> Iterator[Change]:
        """Yield what differs from that commit; raises CursorInvalidError."""
        old = self._commit(ObjectID(since.encode()))
        new_tree = self.head.tree if self.head else None
        for change in tree_changes(self._repo.object_store, old.tree, new_tree):
            before, after = change.old, change.new
            if after and _is_file(after.mode) and after.path and after.sha:
                yield Change(after.path, TreeFile(after.path, after.sha))
            elif before and _is_file(before.mode) and before.path:
                yield Change(before.path, None)

    def write(self, blob: ObjectID, suffix: str) -> Path:
        """Write the content to a new file that lives until `close`."""
        found = self._object(blob)
        handle, path = tempfile.mkstemp(suffix, dir=self._folder)
        with open(handle, "wb") as file:  # noqa: PTH123  # it is a handle
            file.write(found)
        return Path(path)

    def size(self, blob: ObjectID) -> int:
        return len(self._object(blob))

    def _object(self, blob: ObjectID) -> bytes:
        try:
            with self._lock:
                return self._repo.object_store.get_raw(blob)[1]
        except KeyError as error:
            raise EntityError(
                "Its content is missing from the repository",
                failure_class=FailureClass.TRANSIENT,
            ) from error

    def _commit(self, sha: ObjectID) -> Commit:
        try:
            found = self._repo.object_store[sha]
            while isinstance(found, Tag):
                found = self._repo.object_store[found.object[1]]
        except (KeyError, ValueError, AssertionError) as error:
            raise CursorInvalidError(f"commit {sha.decode()} is gone") from error
        if not isinstance(found, Commit):
            raise ConfigError(f"{sha.decode()} is not a commit")
        return found

    def _fetch(self, place: Place, head: Head, also: str | None) -> Repo:
        if place.local is not None:
            with _translated(place.url):
                return Repo(place.local)
        wants = [] if head.commit is None else [head.commit]
        if not also:
            return self._fetch_commits(place, wants)
        try:
            return self._fetch_commits(place, [*wants, ObjectID(also.encode())])
        except (RetryableError, ConfigError) as error:
            # some servers say "not our ref", others hang up: ask without it
            self._fetch_commits(place, wants).close()
            raise CursorInvalidError(f"commit {also} is no longer given") from error

    def _fetch_commits(self, place: Place, wants: list[ObjectID]) -> Repo:
        client, path = _client(place)
        repo = Repo.init_bare(tempfile.mkdtemp(dir=self._folder))
        try:
            with _translated(place.url):
                client.fetch(path, repo, _wanting(wants), depth=1)
        except BaseException:
            repo.close()
            raise
        return repo


def _wanting(wants: list[ObjectID]) -> Callable[..., list[ObjectID]]:
    def determine_wants(
        refs: Mapping[Ref, ObjectID],  # noqa: ARG001  # part of the call
        depth: int | None = None,  # noqa: ARG001  # as above
    ) -> list[ObjectID]:
        return wants

    return determine_wants


def _client(place: Place) -> tuple[GitClient, str]:
    config = ConfigDict()
    config.set((b"http",), b"timeout", _HTTP_TIMEOUT_SECONDS)
    is_http = place.url.startswith(("http://", "https://"))
    return get_transport_and_path(
        place.url,
        config=config,
        operation="pull",
        quiet=True,
        username=place.username if is_http else None,
        password=place.token if is_http else None,
        ssh_command=None if is_http else _SSH,
    )


def _head(
    place: Place, refs: Mapping[Ref, ObjectID], symrefs: Mapping[Ref, Ref]
) -> Head:
    if place.branch is None:
        target = symrefs.get(Ref(b"HEAD"), b"").decode("utf-8", "replace")
        branch = target.removeprefix("refs/heads/")
        commit = refs.get(Ref(b"HEAD"))
        if commit is None and any(ref.startswith(b"refs/heads/") for ref in refs):
            raise ConfigError(
                f"The repository '{place.url}' has no default branch: name one"
            )
        return Head(branch, commit)
    for kind in ("refs/heads/", "refs/tags/"):
        ref = Ref(f"{kind}{place.branch}".encode())
        if ref in refs:
            return Head(place.branch, refs[ref])
    raise ConfigError(f"The repository '{place.url}' has no branch '{place.branch}'")


def _is_file(mode: int | None) -> bool:
    """Return whether it is a regular file: no link, no submodule."""
    return mode is not None and stat.S_ISREG(mode)


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Raise what went wrong as what should happen next."""
    try:
        yield
    except NotGitRepository as error:
        raise ConfigError(f"There is no git repository at '{url}'") from error
    except (HTTPUnauthorized, HTTPProxyUnauthorized) as error:
        raise CredentialsError(f"'{url}' refused the credentials") from error
    except (GitProtocolError, OSError) as error:
        text = str(error).strip() or type(error).__name__
        if any(part in text.casefold() for part in _DENIED):
            raise CredentialsError(f"'{url}' refused access: {text}") from error
        if any(part in text.casefold() for part in _ABSENT):
            raise ConfigError(f"'{url}' cannot be read: {text}") from error
        raise RetryableError(f"'{url}' cannot be reached: {text}") from error

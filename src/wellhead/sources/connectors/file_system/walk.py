"""The walk over a folder tree: what is listed, in which order, and what is trouble."""

import os
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from errno import ELOOP
from functools import partial
from operator import attrgetter
from pathlib import Path
from urllib.parse import quote

from pathspec import GitIgnoreSpec

from wellhead.domain.entities import NOT_TOLD, Access, Blob, Breadcrumb, Entity
from wellhead.domain.errors import ConfigError, EntityError, FailureClass
from wellhead.domain.files import is_readable
from wellhead.domain.items import Failure, Item, Listed, Ref
from wellhead.sources.connectors.file_system.permissions import Permissions, Readers
from wellhead.sources.paths import Globs, compile_ignore_file, decide, storable

ENTITY_TYPE = "File"
PAGE_SIZE = 512
_IGNORE_FILES = (".ignore", ".gitignore")  # the first one wins


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What of a tree is wanted; `only` limits a walk to these source ids."""

    globs: Globs
    follow_symlinks: bool
    use_ignore_files: bool
    include_hidden: bool
    max_bytes: int
    only: frozenset[str] | None = None
    permissions: Permissions | None = None
    """Asked who may read a file, if that is wanted."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The patterns of one ignore file; paths are matched below its folder."""

    folder: str
    spec: GitIgnoreSpec


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder to be listed; `place` is its path below the root, "" or "a/b/"."""

    path: str
    place: str = ""
    source_id: str = ""
    rules: tuple[Rules, ...] = ()
    breadcrumbs: tuple[Breadcrumb, ...] = ()
    readers: Readers = None


@dataclass(frozen=True, slots=True)
class Root:
    """Where a walk begins: a folder, or one file of it."""

    path: str
    file_name: str | None
    identity: tuple[int, int]


def open_root(path: Path) -> Root:
    """Prove that the path can be read; raises ConfigError naming it."""
    try:
        info = path.stat()
        if stat.S_ISDIR(info.st_mode):
            with os.scandir(path) as entries:
                next(entries, None)
            return Root(os.fspath(path), None, (info.st_dev, info.st_ino))
        if not stat.S_ISREG(info.st_mode):
            raise ConfigError(f"The path '{path}' is neither a folder nor a file")
        with path.open("rb"):
            pass
        parent = path.parent.stat()
    except OSError as error:
        raise ConfigError(f"The path '{path}' cannot be read: {_why(error)}") from error
    if not is_readable(path.name):
        raise ConfigError(f"The file '{path}' is of a type that cannot be read")
    return Root(os.fspath(path.parent), path.name, (parent.st_dev, parent.st_ino))


def open_file(path: str) -> Path:
    """Return the path of a file that can be opened now; every read begins here."""
    try:
        # a pipe that took the file's place must not block us
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            is_file = stat.S_ISREG(os.fstat(handle).st_mode)
        finally:
            os.close(handle)
    except OSError as error:
        raise EntityError(
            f"The file cannot be read: {_why(error)}",
            failure_class=FailureClass.TRANSIENT,
        ) from error
    if not is_file:
        raise EntityError(
            "It is no longer a file", failure_class=FailureClass.TRANSIENT
        )
    return Path(path)


class Walk:
    """One walk, made in a thread page by page: folders in order, real ones first.

    `is_complete` and `is_empty` hold once all pages were taken.
    """

    def __init__(self, root: Root, choice: Choice) -> None:
        self.is_complete = True
        self.is_empty = True
        self._root = root
        self._choice = choice
        permissions = choice.permissions
        readers = None if permissions is None else permissions.above(root.path)
        self._folders = [Folder(root.path, readers=readers)]
        self._links: deque[Folder] = deque()
        self._visited: set[tuple[int, int]] = set()
        self._on_the_way = _parents(choice.only)
        self._is_stopped = False

    def stop(self) -> None:
        """Let a page that is being made be the last one."""
        self._is_stopped = True

    def pages(self) -> Iterator[list[Item]]:
        """Yield non-empty lists of Listed and Failure."""
        page: list[Item] = []
        for item in self._items():
            page.append(item)
            if len(page) >= PAGE_SIZE:
                yield page
                page = []
        if self._root_was_replaced():
            self.is_complete = False
            page.append(Failure(None, "The folder was replaced while it was read"))
        if page:
            yield page

    def _items(self) -> Iterator[Item]:
        while self._folders or self._links:
            folder = self._folders.pop() if self._folders else self._links.popleft()
            if not self._is_new(folder):
                continue
            entries = self._list(folder)
            if isinstance(entries, Failure):
                self.is_complete = False
                yield entries
            else:
                yield from self._choose(folder, entries)

    def _is_new(self, folder: Folder) -> bool:
        """Return whether the folder was not met by another way (loops of links)."""
        if not self._choice.follow_symlinks:
            return True
        try:
            info = os.stat(folder.path)  # noqa: PTH116  # quicker than Path
        except OSError:
            return True  # listing it will tell
        identity = (info.st_dev, info.st_ino)
        is_new = identity not in self._visited
        self._visited.add(identity)
        return is_new

    def _list(self, folder: Folder) -> list[os.DirEntry[str]] | Failure:
        is_root = not folder.place
        try:
            with os.scandir(folder.path) as entries:
                return sorted(entries, key=attrgetter("name"))
        except (FileNotFoundError, NotADirectoryError) as error:
            if is_root:
                raise ConfigError(
                    f"The path '{self._root.path}' cannot be read: {_why(error)}"
                ) from error
            return []  # removed since its parent was listed
        except OSError as error:
            where = folder.source_id or folder.path
            return Failure(None, f"The folder '{where}' cannot be read: {_why(error)}")

    def _choose(
        self, folder: Folder, entries: list[os.DirEntry[str]]
    ) -> Iterator[Item]:
        self.is_empty = self.is_empty and not entries
        rules = folder.rules
        if self._choice.use_ignore_files and self._root.file_name is None:
            own, failures = _read_rules(folder, entries)
            rules = own + rules
            self.is_complete = self.is_complete and not failures
            yield from failures
        names = {entry.name for entry in entries if not entry.name.isascii()}
        below: list[Folder] = []
        for entry in entries:
            if self._is_stopped:
                return
            if not self._is_wanted(entry.name):
                continue
            found = self._look_at(folder, entry, rules, storable(entry.name, names))
            if isinstance(found, Folder):
                (self._links if entry.is_symlink() else below).append(found)
            elif found is not None:
                yield found
        self._folders += reversed(below)

    def _is_wanted(self, name: str) -> bool:
        if self._root.file_name is not None:
            return name == self._root.file_name
        if name == ".git":
            return False
        return self._choice.include_hidden or not name.startswith(".")

    def _look_at(
        self,
        folder: Folder,
        entry: os.DirEntry[str],
        rules: tuple[Rules, ...],
        name: str,
    ) -> Folder | Item | None:
        """Return what is behind the entry, None if it is not wanted."""
        follow = self._choice.follow_symlinks or self._root.file_name is not None
        source_id = folder.source_id + name
        place = folder.place + entry.name
        try:
            if entry.is_dir(follow_symlinks=follow):
                return self._folder(folder, entry, rules, name)
            if not entry.is_file(follow_symlinks=follow):
                return None
            if not self._takes(source_id, place, rules):
                return None
            info = entry.stat(follow_symlinks=follow)
        except FileNotFoundError:
            return None  # removed since the folder was listed
        except OSError as error:
            if error.errno == ELOOP:
                return None  # a link to itself leads to nothing
            return Failure(Ref(ENTITY_TYPE, source_id), f"Not readable: {_why(error)}")
        return self._file(folder, entry, name, info)

    def _takes(self, source_id: str, place: str, rules: tuple[Rules, ...]) -> bool:
        if self._choice.only is not None and source_id not in self._choice.only:
            return False
        return (
            is_readable(place)
            and not _is_ignored(place, rules)
            and self._choice.globs.take(place)
        )

    def _folder(
        self,
        folder: Folder,
        entry: os.DirEntry[str],
        rules: tuple[Rules, ...],
        name: str,
    ) -> Folder | None:
        place = f"{folder.place}{entry.name}/"
        source_id = f"{folder.source_id}{name}"
        if self._on_the_way is not None and source_id not in self._on_the_way:
            return None
        if _is_ignored(place, rules) or not self._choice.globs.enter(place):
            return None
        step = Breadcrumb(source_id, name, "Folder")
        readers, permissions = folder.readers, self._choice.permissions
        if permissions is not None:
            info = entry.stat(follow_symlinks=False)
            readers = permissions.inside(readers, entry.path, info)
        way = (*folder.breadcrumbs, step)
        return Folder(entry.path, place, f"{source_id}/", rules, way, readers)

    def _file(
        self, folder: Folder, entry: os.DirEntry[str], name: str, info: os.stat_result
    ) -> Item:
        source_id = folder.source_id + name
        version = _version(info)
        if info.st_size > self._choice.max_bytes:
            return Failure(
                Ref(ENTITY_TYPE, source_id),
                f"Larger than {self._choice.max_bytes // 1024 // 1024} MB",
                FailureClass.PERMANENT,
                source_version=version,
            )
        access, permissions = NOT_TOLD, self._choice.permissions
        if permissions is not None:
            access = permissions.of_file(folder.readers, entry.path, info)
        describe = partial(_described, folder, entry.path, source_id, info, access)
        return Listed(ENTITY_TYPE, source_id, version, describe, access=access)

    def _root_was_replaced(self) -> bool:
        """Return whether the root is another folder now, as after an unmount."""
        try:
            info = os.stat(self._root.path)  # noqa: PTH116  # as above
        except OSError:
            return True
        return (info.st_dev, info.st_ino) != self._root.identity


def _version(info: os.stat_result) -> str:
    # ctime too: an editor or a copy can keep mtime and size of other content
    return f"{info.st_mtime_ns}-{info.st_ctime_ns}-{info.st_size}"


def _described(
    folder: Folder, path: str, source_id: str, info: os.stat_result, access: Access
) -> Entity:
    modified = _date(info.st_mtime)
    name = source_id.removeprefix(folder.source_id)
    return Entity(
        type=ENTITY_TYPE,
        source_id=source_id,
        name=name,
        blob=Blob(name=name, size=info.st_size, open=partial(open_file, path)),
        source_version=_version(info),
        created_at=_date(getattr(info, "st_birthtime", None)),
        updated_at=modified,
        breadcrumbs=folder.breadcrumbs,
        url=f"file://{quote(os.fsencode(path))}",
        access=access,
        raw={
            "path": source_id,
            "size": info.st_size,
            "mode": f"{stat.S_IMODE(info.st_mode):04o}",
            "modified": modified.isoformat() if modified else None,
        },
    )


def _read_rules(
    folder: Folder, entries: list[os.DirEntry[str]]
) -> tuple[tuple[Rules, ...], list[Failure]]:
    present = {entry.name: entry for entry in entries if entry.name in _IGNORE_FILES}
    rules, failures = [], []
    for name in _IGNORE_FILES:
        if name not in present or not present[name].is_file(follow_symlinks=False):
            continue
        try:
            content = Path(present[name].path).read_text("utf-8", "surrogateescape")
        except OSError as error:
            why = f"'{folder.source_id}{name}' cannot be read: {_why(error)}"
            failures.append(Failure(None, why))
            continue
        spec = compile_ignore_file(content)
        if spec is not None:
            rules.append(Rules(folder.place, spec))
    return tuple(rules), failures


def _is_ignored(place: str, rules: tuple[Rules, ...]) -> bool:
    """Ask the nearest ignore file first; the first that speaks decides."""
    for one in rules:
        verdict = decide(one.spec, place[len(one.folder) :])
        if verdict is not None:
            return verdict
    return False


def _parents(only: frozenset[str] | None) -> frozenset[str] | None:
    if only is None:
        return None
    parts = (source_id.split("/") for source_id in only)
    return frozenset(
        "/".join(path[:depth]) for path in parts for depth in range(1, len(path))
    )


def _date(seconds: float | None) -> datetime | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None  # a date that a calendar does not have


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__

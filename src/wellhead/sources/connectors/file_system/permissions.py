"""Who may read a file: by owner, group and mode, of itself and of its folders.

Where owner, group and mode cannot say it exactly, fewer are let in, never more.
"""

import grp
import os
import pwd
from collections.abc import Iterator
from errno import ENODATA, ENOTSUP
from functools import cache
from pathlib import Path

from wellhead.domain.entities import Access
from wellhead.domain.principals import group, user

Readers = frozenset[str] | None
"""Names of users and groups; None is everybody."""
READ, SEARCH = 0o4, 0o1
_NOBODY: Readers = frozenset()
_ACL = "system.posix_acl_access"


class Permissions:
    """Knows the machine's users and groups as they were when it was made."""

    def __init__(self) -> None:
        self._users = {one.pw_uid: one.pw_name for one in pwd.getpwall()}
        self._groups = {one.gr_gid: one.gr_name for one in grp.getgrall()}
        self._members: dict[str, set[str]] = {}
        for one in grp.getgrall():
            members = self._members.setdefault(group(one.gr_name), set())
            members.update(map(user, one.gr_mem))
        for account in pwd.getpwall():
            own = group(self._groups.get(account.pw_gid, str(account.pw_gid)))
            self._members.setdefault(own, set()).add(user(account.pw_name))
        self._both = cache(self._common)
        self._access = cache(_access)

    def above(self, root: str) -> Readers:
        """Return who may reach what is in a folder, by way of all that it is in."""
        readers: Readers = None
        real = Path(root).resolve()
        for folder in (*reversed(real.parents), real):
            readers = self.inside(readers, os.fspath(folder), folder.stat())
        return readers

    def inside(self, readers: Readers, path: str, info: os.stat_result) -> Readers:
        """Return who of these may search a folder."""
        return self._both(readers, self._let_in(path, info, SEARCH))

    def of_file(self, readers: Readers, path: str, info: os.stat_result) -> Access:
        """Return who of those that reach a file may read it."""
        return self._access(self._both(readers, self._let_in(path, info, READ)))

    def _let_in(self, path: str, info: os.stat_result, bit: int) -> Readers:
        owner, members, others = (
            bool(info.st_mode & bit << shift) for shift in (6, 3, 0)
        )
        if not owner:
            return _NOBODY  # whoever else is let in, the owner is not
        names = {user(self._users.get(info.st_uid, str(info.st_uid)))}
        if _has_acl(path):
            return frozenset(names)  # the group's bits then mean something else
        if members and others:
            return None
        if members:
            names.add(group(self._groups.get(info.st_gid, str(info.st_gid))))
        return frozenset(names)  # others only: all but the members cannot be said

    def _common(self, one: Readers, other: Readers) -> Readers:
        if one is None or other is None:
            return other if one is None else one
        return one & other | {*self._people(one)} & {*self._people(other)}

    def _people(self, names: frozenset[str]) -> Iterator[str]:
        for name in names:
            yield from self._members.get(name, ()) if name[:1] == "g" else (name,)


def _access(readers: Readers) -> Access:
    if readers is None:
        return Access(is_public=True)
    return Access(viewers=tuple(sorted(readers)), is_public=False)


def _has_acl(path: str) -> bool:
    """Tell whether more is said of a file than its mode; what cannot be asked, no."""
    try:
        os.getxattr(path, _ACL, follow_symlinks=False)
    except AttributeError:  # not every system has them
        return False
    except OSError as error:
        if error.errno in (ENODATA, ENOTSUP):
            return False
        raise
    return True

"""Who may read a file, against what the kernel itself lets each user open."""

import grp
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from pydantic import ValidationError

from wellhead.domain.entities import Access
from wellhead.domain.items import Shown
from wellhead.domain.principals import Principal, group, user
from wellhead.sources.connectors.file_system import FileSystemSource
from wellhead.sources.connectors.file_system.permissions import Permissions

MODES = (0o777, 0o750, 0o705, 0o700, 0o710, 0o077, 0o000, 0o611)
USUAL = {0o777, 0o750, 0o700}
"""Of these none lets in others than the group, so they can be said exactly."""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can chown")


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder whose parents everybody may pass, unlike those of tmp_path."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    if Permissions().above(str(made)) is not None:
        pytest.skip(f"not everybody may pass through {made.parent}")
    yield made
    shutil.rmtree(made)


def plant(root: Path, name: str, mode: int = 0o644, *owners: int) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("content")
    path.chmod(mode)
    if owners:
        os.chown(path, *owners)
    return path


async def access_of(root: Path) -> dict[str, Access]:
    source = FileSystemSource.create({"path": str(root), "read_permissions": True}, {})
    items = [item async for item in source.read(None)]
    return {
        item.entity.source_id: item.entity.access
        for item in items
        if isinstance(item, Shown)
    }


def listed(*viewers: str) -> Access:
    return Access(viewers=tuple(sorted(viewers)), is_public=False)


async def test_without_being_asked_nothing_is_said(root: Path) -> None:
    plant(root, "a.md")
    source = FileSystemSource.create({"path": str(root)}, {})

    [item] = [one async for one in source.read(None) if isinstance(one, Shown)]
    assert item.entity.access == Access()


async def test_mode_owner_and_group_decide(root: Path) -> None:
    me = user(pwd.getpwuid(os.getuid()).pw_name)
    mine = group(grp.getgrgid(plant(root, "x.md").stat().st_gid).gr_name)
    for name, mode in (
        ("all.md", 0o644),
        ("group.md", 0o640),
        ("own.md", 0o600),
        ("not-the-group.md", 0o604),
        ("not-the-owner.md", 0o044),
        ("closed/all.md", 0o644),
    ):
        plant(root, name, mode)
    (root / "closed").chmod(0o700)

    assert await access_of(root) == {
        "x.md": Access(is_public=True),
        "all.md": Access(is_public=True),
        "group.md": listed(me, mine),
        "own.md": listed(me),
        "not-the-group.md": listed(me),
        "not-the-owner.md": listed(),
        "closed/all.md": listed(me),
    }


@needs_root
async def test_names_and_numbers_without_names(root: Path) -> None:
    plant(root, "a.md", 0o640, 1, 61_234)

    found = await access_of(root)
    assert found == {"a.md": listed(user(pwd.getpwuid(1).pw_name), "group:61234")}


@needs_root
async def test_who_is_in_the_folders_group_and_owns_the_file_reads_it(
    root: Path,
) -> None:
    account = pwd.getpwuid(1)
    plant(root, "inner/a.md", 0o600, account.pw_uid, 0)
    plant(root, "inner/b.md", 0o640, 0, account.pw_gid)
    (root / "inner").chmod(0o750)
    os.chown(root / "inner", 0, account.pw_gid)

    found = await access_of(root)
    assert found["inner/a.md"] == listed(user(account.pw_name))
    own = group(grp.getgrgid(account.pw_gid).gr_name)
    assert {user("root"), own} <= {*(found["inner/b.md"].viewers or ())}


async def test_what_a_folder_above_closes_is_closed(root: Path) -> None:
    plant(root, "a/b/c.md")
    (root / "a").chmod(0o700)

    me = user(pwd.getpwuid(os.getuid()).pw_name)
    assert await access_of(root / "a" / "b") == {"c.md": listed(me)}


@needs_root
async def test_nobody_sees_what_the_kernel_does_not_let_them_open(root: Path) -> None:
    """Every mix of folder and file, as each of several users really opens it."""
    people = [pwd.getpwuid(uid) for uid in (1, 2, 65_534)]
    owners = [(one.pw_uid, two.pw_gid) for one in people[:2] for two in people[:2]]
    usual = set()
    for number, mix in enumerate(product(MODES, owners, MODES[:5], owners)):
        file_mode, file_owner, folder_mode, folder_owner = mix
        plant(root, f"{number}/a.md", file_mode, *file_owner)
        os.chown(root / f"{number}", *folder_owner)
        (root / f"{number}").chmod(folder_mode)
        if {file_mode, folder_mode} <= USUAL:
            usual.add(f"{number}/a.md")
    found = await access_of(root)
    assert len(found) == len(MODES) * 5 * 16

    for account in people:
        opened = _opened_by(account, root)
        names = [user(account.pw_name), group(grp.getgrgid(account.pw_gid).gr_name)]
        shown = {
            name for name, one in found.items() if Principal(tuple(names)).may_see(one)
        }
        assert shown <= opened, f"{account.pw_name} is shown too much"
        assert shown & usual == opened & usual, f"{account.pw_name} is shown too little"


def _opened_by(account: pwd.struct_passwd, root: Path) -> set[str]:
    script = (
        "import os, sys\n"
        f"os.setgroups([]); os.setgid({account.pw_gid}); os.setuid({account.pw_uid})\n"
        f"os.chdir({str(root)!r})\n"
        "for name in os.listdir('.'):\n"
        "    try:\n"
        "        open(f'{name}/a.md').close()\n"
        "        print(f'{name}/a.md')\n"
        "    except OSError: pass\n"
    )
    # isolated: modules of ours may be where this user cannot read
    ran = subprocess.run(
        [sys.executable, "-I", "-c", script],
        capture_output=True,
        text=True,
        check=True,
    )
    return {*ran.stdout.split()}


@needs_root
async def test_an_access_control_list_lets_in_the_owner_only(root: Path) -> None:
    """With one, the bits of the group are the most that anybody on it gets."""
    path = plant(root, "a.md", 0o644, 1, 1)
    entries = [(0x01, 6, -1), (0x02, 4, 2), (0x04, 0, -1), (0x10, 4, -1), (0x20, 4, -1)]
    packed = (2).to_bytes(4, "little") + b"".join(
        tag.to_bytes(2, "little")
        + rights.to_bytes(2, "little")
        + (who % 2**32).to_bytes(4, "little")
        for tag, rights, who in entries
    )
    try:
        os.setxattr(path, "system.posix_acl_access", packed)
    except OSError:
        pytest.skip("this file system has no access control lists")

    assert await access_of(root) == {"a.md": listed(user(pwd.getpwuid(1).pw_name))}


def test_links_lead_past_folders_so_both_together_are_refused() -> None:
    both = {"path": "/x", "read_permissions": True, "follow_symlinks": True}
    with pytest.raises(ValidationError, match="cannot be combined"):
        FileSystemSource.create(both, {})

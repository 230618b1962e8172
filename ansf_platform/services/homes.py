"""A directory that another system user can reach.

As root, PostgreSQL runs as its own system user, and that user can often not pass through the
directories above ours (a home directory is 0700). Then its files go under `/var/lib/ansf`, to a
name drawn from our directory, and a file in our directory says where.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import shutil
from pathlib import Path

_ELSEWHERE = Path("/var/lib/ansf")
_POINTER = "LOCATION"
_PASS_THROUGH = 0o711


def home_for(directory: Path, account: str | None) -> Path:
    """The directory itself if the account can reach it, else one elsewhere; created if absent."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if account is None:
        return directory
    if _can_pass(directory.parent, account):
        directory.chmod(_PASS_THROUGH)  # its parents may be passed: the account needs only this one
        return directory
    return _elsewhere(directory)


def remove_home(home: Path) -> None:
    """Delete a home with all it holds, and the place elsewhere once nothing is left there."""
    shutil.rmtree(home, ignore_errors=True)
    if home.parent == _ELSEWHERE:
        with contextlib.suppress(OSError):  # others have homes there
            _ELSEWHERE.rmdir()


def _elsewhere(directory: Path) -> Path:
    home = _ELSEWHERE / hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    pointer = directory / _POINTER
    if not pointer.exists():
        _set_aside(home)
        home.mkdir(mode=_PASS_THROUGH, parents=True)
        pointer.write_text(f"{home}\n")
    return home


def _set_aside(home: Path) -> None:
    """Our directory was deleted, which is a reset: what it had elsewhere is no longer ours."""
    if home.exists():
        old = home.with_suffix(".old")
        shutil.rmtree(old, ignore_errors=True)
        home.rename(old)


def _can_pass(path: Path, account: str) -> bool:
    """Whether the account has the execute permission on this directory and all above it."""
    entry = pwd.getpwnam(account)
    groups = set(os.getgrouplist(account, entry.pw_gid))
    return all(_may_enter(step.stat(), entry.pw_uid, groups) for step in (path, *path.parents))


def _may_enter(facts: os.stat_result, user: int, groups: set[int]) -> bool:
    if facts.st_uid == user:
        return bool(facts.st_mode & 0o100)
    if facts.st_gid in groups:
        return bool(facts.st_mode & 0o010)
    return bool(facts.st_mode & 0o001)

"""Registers process groups with a reaper process, which kills them when this process is gone.

PDEATHSIG ends a child at once but not the child's own children (a prefork worker's pool, a paused
database backend), and it exists on Linux only. One reaper serves the whole process; it starts with
the first group.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

_SCRIPT = Path(__file__).with_name("reaper.py")
_FAREWELL_S = 5.0

_lock = threading.Lock()
_reaper: subprocess.Popen[bytes] | None = None
_owner_pid = 0


def watch(group: int) -> None:
    """Have this process group killed when the present process ends, however it ends."""
    _tell(f"+{group}\n", start=True)


def forget(group: int) -> None:
    """The group has ended; its number may be given to others from now on."""
    _tell(f"-{group}\n", start=False)


def _tell(line: str, *, start: bool) -> None:
    with _lock:
        reaper = _own_reaper(start=start)
        if reaper is None or reaper.stdin is None:
            return
        # Without its reaper a child still has PDEATHSIG: losing one net must not stop the work.
        with contextlib.suppress(BrokenPipeError):
            reaper.stdin.write(line.encode())
            reaper.stdin.flush()


def _own_reaper(*, start: bool) -> subprocess.Popen[bytes] | None:
    global _reaper, _owner_pid  # noqa: PLW0603 - one reaper per process is the point
    if _reaper is not None and _owner_pid == os.getpid():
        return _reaper
    if not start:
        return None
    _reaper = subprocess.Popen(
        (sys.executable, "-I", "-S", str(_SCRIPT)),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C meant for the parent must not end it
    )
    _owner_pid = os.getpid()
    atexit.register(_dismiss, _reaper, _owner_pid)
    return _reaper


def _dismiss(reaper: subprocess.Popen[bytes], owner_pid: int) -> None:
    if os.getpid() != owner_pid or reaper.stdin is None:
        return
    with contextlib.suppress(BrokenPipeError):
        reaper.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        reaper.wait(_FAREWELL_S)


def _forget_after_fork() -> None:
    """A forked child lets go of the pipe, or the reaper would wait for the child's end too."""
    global _reaper, _lock  # noqa: PLW0603 - the child begins with neither
    _lock = threading.Lock()
    if _reaper is not None and _reaper.stdin is not None:
        _reaper.stdin.close()
        _reaper.returncode = 0  # not the child's to wait for
    _reaper = None


os.register_at_fork(after_in_child=_forget_after_fork)

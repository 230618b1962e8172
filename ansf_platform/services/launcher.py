"""Become another program that dies with its parent: a script, run isolated, standard library only.

    python -I -S launcher.py PARENT_PID USER|- PROGRAM [ARGUMENT ...]

A `preexec_fn` would do the same inside `fork`, but running Python between fork and exec of a
threaded parent can deadlock, and Python 3.12 warns of it.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_CANNOT_RUN = 127  # what a shell answers for a program that cannot be executed


def _become_user(name: str) -> None:
    account = pwd.getpwnam(name)
    os.initgroups(name, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def _die_with(parent: int) -> None:
    # After the change of user: the kernel clears the setting when credentials change.
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the setting took hold
        sys.exit(_CANNOT_RUN)


def main(arguments: list[str]) -> None:
    """Drop to the user, bind our life to the parent's, execute the program."""
    parent, user, *argv = arguments
    if user != "-":
        _become_user(user)
    _die_with(int(parent))
    try:
        os.execv(argv[0], argv)  # noqa: S606 - becoming the program is what this script is for
    except OSError as error:
        sys.stderr.write(f"cannot run {argv[0]}: {error.strerror}\n")
        sys.exit(_CANNOT_RUN)


if __name__ == "__main__":
    main(sys.argv[1:])

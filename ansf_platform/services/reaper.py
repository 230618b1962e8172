"""Kill the process groups a dead parent left behind: a script, run isolated, standard library only.

    python -I -S reaper.py < PIPE

Reads `+GROUP` and `-GROUP` lines. The end of file means that the parent is gone, however it went,
and every group still held is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

_ENDED_BY_PIPE_ONLY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    """Hold groups until the pipe closes, then kill them."""
    for number in _ENDED_BY_PIPE_ONLY:
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line)
        if group > 0:
            groups.add(group)
        else:
            groups.discard(-group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()

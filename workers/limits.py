"""The soft time limit: an alarm around each member, in pools whose tasks run in main threads."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from billiard.exceptions import SoftTimeLimitExceeded


class _Alarm:
    """Whether this process answers SIGALRM; installing it for each member would cost more
    than the member.
    """

    installed = False


def _raise(_number: int, _frame: FrameType | None) -> None:
    raise SoftTimeLimitExceeded


def in_main_thread() -> bool:
    """Whether this is a child of a `cpu` pool rather than a thread of an `io` pool."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def soft_limit(seconds: float) -> Iterator[None]:
    """Raise ``SoftTimeLimitExceeded`` in the block after so many seconds.

    In a thread of an ``io`` pool there is no alarm: handlers there give the context's
    ``seconds_left`` to every socket, and a thread past its hard limit is fenced.
    """
    if not in_main_thread():
        yield
        return
    if not _Alarm.installed:
        signal.signal(signal.SIGALRM, _raise)
        _Alarm.installed = True
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)

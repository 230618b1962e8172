"""The soft time limit: an alarm around each member, in pools whose tasks run in main threads."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from billiard.exceptions import SoftTimeLimitExceeded


def _alarm(_number: int, _frame: FrameType | None) -> None:
    raise SoftTimeLimitExceeded


@contextmanager
def soft_limit(seconds: float) -> Iterator[None]:
    """Raise ``SoftTimeLimitExceeded`` in the block after so many seconds.

    In a thread of an ``io`` pool there is no alarm: handlers there give the context's
    ``seconds_left`` to every socket, and a thread past its hard limit is fenced.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGALRM, _alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)

"""Time limits of `cpu` pools, whose members run in the main threads of child processes.

The soft limit is an alarm around each member. The hard limit is a time that the child leaves
where its main process sees it, and the main process kills children past theirs. Celery's own
limit counts from the receipt of a message, and so would kill a child that only waits for the
database to come back. For the same reason both limits stand still while a member waits for it.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
import threading
import time

# Not signal's own, which makes an enum of the answer at ten times the price.
from _signal import getsignal  # type: ignore[import-not-found]
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from billiard.exceptions import SoftTimeLimitExceeded


def _raise(_number: int, _frame: FrameType | None) -> None:
    raise SoftTimeLimitExceeded


def in_main_thread() -> bool:
    """Whether this is a child of a `cpu` pool rather than a thread of an `io` pool."""
    return threading.current_thread() is threading.main_thread()


class SoftLimit:
    """Raises ``SoftTimeLimitExceeded`` in its block after so many seconds.

    In a thread of an ``io`` pool there is no alarm: handlers there give the context's
    ``seconds_left`` to every socket, and a thread past its hard limit is fenced.
    """

    __slots__ = ("_alarmed", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._alarmed = in_main_thread()

    def __enter__(self) -> None:
        if not self._alarmed:
            return
        # Asking is cheap, installing for each member is not; a handler before may have taken it
        # away, and an alarm that nobody answers ends the process.
        if getsignal(signal.SIGALRM) is not _raise:
            signal.signal(signal.SIGALRM, _raise)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)

    def __exit__(self, *_: object) -> None:
        if self._alarmed:
            signal.setitimer(signal.ITIMER_REAL, 0)


_TIME = struct.Struct("d")
_NONE = 0.0


class _Board:
    """This process's file: when its current member must have ended, by the monotonic clock,
    which all processes of a machine share.
    """

    owner = 0
    memory: mmap.mmap | None = None


def _board(directory: Path) -> mmap.mmap:
    if _Board.memory is None or _Board.owner != os.getpid():
        path = directory / str(os.getpid())
        path.write_bytes(_TIME.pack(_NONE))
        with path.open("r+b") as file:
            _Board.memory = mmap.mmap(file.fileno(), _TIME.size)
        _Board.owner = os.getpid()
    return _Board.memory


@dataclass(slots=True)
class Clock:
    """How long a member runs, not counting its waits for the database."""

    since: float = field(default_factory=time.monotonic)
    _stopped_at: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds so far."""
        now = time.monotonic() if self._stopped_at is None else self._stopped_at
        return now - self.since

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Do not count the block."""
        self._stopped_at = time.monotonic()
        try:
            yield
        finally:
            self.since += time.monotonic() - self._stopped_at
            self._stopped_at = None


_clock: ContextVar[Clock | None] = ContextVar("ansf_clock", default=None)


@contextmanager
def counting(clock: Clock) -> Iterator[None]:
    """Let `clock` be the one that :func:`paused` stops."""
    token = _clock.set(clock)
    try:
        yield
    finally:
        _clock.reset(token)


@contextmanager
def paused() -> Iterator[None]:
    """Let no limit pass during the block: it waits for the database."""
    clock = _clock.get()
    with ExitStack() as stopped:
        if clock is not None:
            stopped.enter_context(clock.stopped())
        if in_main_thread():
            stopped.enter_context(_alarm_off())
            stopped.enter_context(_board_empty())
        yield


@contextmanager
def _alarm_off() -> Iterator[None]:
    left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        if left:
            signal.setitimer(signal.ITIMER_REAL, left)


@contextmanager
def _board_empty() -> Iterator[None]:
    board = _Board.memory if _Board.owner == os.getpid() else None
    if board is None:
        yield
        return
    (due,) = _TIME.unpack_from(board)
    _TIME.pack_into(board, 0, _NONE)
    begun = time.monotonic()
    try:
        yield
    finally:
        if due != _NONE:
            _TIME.pack_into(board, 0, due + time.monotonic() - begun)


class HardLimit:
    """Lets the main process kill this child if the block takes longer."""

    __slots__ = ("_board", "_seconds")

    def __init__(self, directory: Path, seconds: float) -> None:
        self._board = _board(directory)
        self._seconds = seconds

    def __enter__(self) -> None:
        _TIME.pack_into(self._board, 0, time.monotonic() + self._seconds)

    def __exit__(self, *_: object) -> None:
        _TIME.pack_into(self._board, 0, _NONE)


def overdue(directory: Path) -> list[int]:
    """The processes whose member is past its hard limit; each is told once."""
    found = []
    now = time.monotonic()
    for path in directory.iterdir():
        content = path.read_bytes()
        if len(content) == _TIME.size and _NONE < _TIME.unpack(content)[0] < now:
            path.unlink()
            found.append(int(path.name))
    return found

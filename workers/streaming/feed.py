"""Bytes from a file or a pipe, with the time when they were read.

`Direct` reads when it is asked to: whoever writes into a pipe waits meanwhile. `Eager` reads in a
thread at the writer's pace, for streams that cannot wait; what it holds is bounded.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections import deque
from contextlib import suppress
from types import FrameType
from typing import Protocol, Self

LARGEST_READ = 65_536
MAX_QUEUED = 16 * 1024 * 1024
"""Bytes that wait between an eager reader and the judges; then it reads no further either."""

Read = tuple[float, bytes]
"""When it was read, and what; nothing at the end of the input."""


class Feed(Protocol):
    """Where the stream comes from."""

    def read(self, size: int, seconds: float | None) -> Read | None:
        """The next bytes, at most about `size`; None when none came in time, or to look around.

        `seconds` None waits until there are some, or until somebody asks to stop.
        """

    def close(self) -> None:
        """Stop reading."""


class Interruption:
    """Notes the first SIGINT or SIGTERM and wakes who waits for input; the second one raises."""

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[int, object] = {}
        self._wakeup = -1
        self.awake, self._ring = os.pipe()

    def __enter__(self) -> Self:
        os.set_blocking(self._ring, False)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
            self._wakeup = signal.set_wakeup_fd(self._ring, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before:
            signal.set_wakeup_fd(self._wakeup)
            for number, handler in self._before.items():
                signal.signal(number, handler)  # type: ignore[arg-type]
        os.close(self.awake)
        os.close(self._ring)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.number:
            raise KeyboardInterrupt
        self.number = number


def _wait(fd: int, awake: int, seconds: float | None) -> bool:
    """Whether there is something to read; False after so long, or when somebody interrupted."""
    ready, _, _ = select.select([fd, awake], [], [], seconds)
    if awake in ready:  # any signal that Python handles rings, not only those that end it
        os.read(awake, LARGEST_READ)
    return fd in ready


class Direct:
    """Reads when asked."""

    def __init__(self, fd: int, awake: int) -> None:
        self._fd = fd
        self._awake = awake

    def read(self, size: int, seconds: float | None) -> Read | None:
        if not _wait(self._fd, self._awake, seconds):
            return None
        data = os.read(self._fd, min(size, LARGEST_READ))
        return time.monotonic(), data

    def close(self) -> None:
        """Nothing was started."""


class Eager:
    """Reads at the writer's pace, in a thread."""

    def __init__(self, fd: int, awake: int) -> None:
        self._fd = fd
        self._awake = awake
        self._queue: deque[Read] = deque()
        self._held = 0
        self._changed = threading.Condition()
        self._closed = False
        self._bell, self._ring = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._ring, False)
        self._thread = threading.Thread(target=self._run, name="stream input", daemon=True)
        self._thread.start()

    def read(self, size: int, seconds: float | None) -> Read | None:
        if not self._queue and _wait(self._bell, self._awake, seconds):
            with suppress(BlockingIOError):
                os.read(self._bell, LARGEST_READ)
        with self._changed:
            if not self._queue:
                return None
            found = self._queue.popleft()
            self._held -= len(found[1])
            self._changed.notify()
            return found

    def close(self) -> None:
        """The thread ends with its next read, or with the process."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        while True:
            try:
                data = os.read(self._fd, LARGEST_READ)
            except OSError:
                data = b""
            found = time.monotonic(), data
            with self._changed:
                while self._held > MAX_QUEUED and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                self._queue.append(found)
                self._held += len(data)
            with suppress(BlockingIOError):
                os.write(self._ring, b".")
            if not data:
                return

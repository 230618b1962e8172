"""A member that takes long must not hold up its neighbours in the envelope.

The thread that runs members can look at the clock only between two of them. Where a member runs
longer than the whole envelope should, a second thread of the process records what has ended
before it and gives back what has not begun: both over a connection of its own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import DatabaseError, InterfaceError, connection

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.05  # between looks while an envelope is under way


@dataclass(slots=True, eq=False)
class Watched:
    """An envelope under way, and what to do when one of its members takes long."""

    due_at: float
    """On the monotonic clock."""
    relieve: Callable[[], None]
    busy: threading.Lock = field(default_factory=threading.Lock)
    relieved: bool = False


class Watch:
    """The second thread of a process; does nothing until enabled."""

    def __init__(self) -> None:
        self.enabled = False
        self._lock = threading.Lock()
        self._watched: set[Watched] = set()
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def over(self, seconds: float, relieve: Callable[[], None]) -> Iterator[None]:
        """Call `relieve`, once, if the block takes longer; it has returned when the block ends."""
        if not self.enabled:
            yield
            return
        envelope = Watched(time.monotonic() + seconds, relieve)
        with self._lock:
            self._watched.add(envelope)
        self._start()
        try:
            yield
        finally:
            with self._lock:
                self._watched.discard(envelope)
                if not self._watched:
                    self._wanted.clear()
            with envelope.busy:
                envelope.relieved = True

    def _start(self) -> None:
        self._wanted.set()
        # After a fork the parent's thread is known here, but does not live.
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="stragglers", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            time.sleep(LOOK_SECONDS)
            now = time.monotonic()
            with self._lock:
                late = [one for one in self._watched if one.due_at <= now and not one.relieved]
            for envelope in late:
                self._relieve(envelope)
            if late:
                self._disconnect()

    @staticmethod
    def _relieve(envelope: Watched) -> None:
        with envelope.busy:
            if envelope.relieved:
                return
            envelope.relieved = True
            try:
                envelope.relieve()
            except Exception:
                logger.exception("an envelope's neighbours wait for its slow member")

    @staticmethod
    def _disconnect() -> None:
        try:
            connection.close()
        except (DatabaseError, InterfaceError):
            connection.connection = None


watch = Watch()

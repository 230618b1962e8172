"""Probes in threads: so many at a time, each given up when it is late.

A thread cannot be killed. Probes keep their own timeouts, so a late one is rare (a frozen
database, a library that waits); it is reported as a failed reading each time it is due, keeps its
place, and when no place is left the process must be replaced.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass

from django.db import connections
from django.utils import timezone

from healthchecks.measuring import take
from healthchecks.models import HealthCheck
from healthchecks.monitor import State
from healthchecks.probes.measurement import Measurement
from healthchecks.recording import Measured

PLACES = 16
GRACE = 1.0  # seconds beyond the check's own timeout


class AllStuck(RuntimeError):
    """Every place is held by a probe that does not return: only a new process helps."""


@dataclass(slots=True)
class _Running:
    check: HealthCheck
    until: float
    late: bool = False


class Runner:
    """Starts probes and collects what they measured; used by one thread."""

    def __init__(self, places: int = PLACES) -> None:
        self._places = places
        self._running: dict[int, _Running] = {}
        self._done: queue.SimpleQueue[tuple[int, Measured]] = queue.SimpleQueue()
        self._late: list[Measured] = []

    @property
    def idle(self) -> bool:
        """Whether nothing is running."""
        return not self._running

    def start(self, check: HealthCheck) -> bool:
        """Start a probe; False when all places are taken. Raises AllStuck.

        A check whose last probe still runs is not started again: late, it is failed once more.
        """
        running = self._running.get(check.pk)
        if running is not None:
            if running.late:
                self._late.append(_too_late(check))
            return True
        if len(self._running) >= self._places:
            if all(each.late for each in self._running.values()):
                raise AllStuck(f"{self._places} probes do not return; this process must restart")
            return False
        self._running[check.pk] = _Running(check, time.monotonic() + check.timeout_seconds + GRACE)
        # A daemon: a stuck probe must not keep the process alive.
        threading.Thread(
            target=self._measure, args=(check,), name=f"probe {check.name}", daemon=True
        ).start()
        return True

    def _measure(self, check: HealthCheck) -> None:
        try:
            measured = take(check)
        finally:
            connections.close_all()
        self._done.put((check.pk, measured))

    def collect(self) -> list[Measured]:
        """What has been measured since the last call, late ones as failed."""
        found, self._late = self._late, []
        while not self._done.empty():
            key, measured = self._done.get()
            if not self._running.pop(key).late:
                found.append(measured)
        now = time.monotonic()
        for running in self._running.values():
            if not running.late and now > running.until:
                running.late = True
                found.append(_too_late(running.check))
        return found


def _too_late(check: HealthCheck) -> Measured:
    message = f"no answer within {check.timeout_seconds:g} s"
    fix = "look whether the target hangs, or raise the timeout"
    measurement = Measurement(State.FAILED, message, fix=fix)
    return Measured(
        check.pk, check.revision, timezone.now(), measurement, check.timeout_seconds * 1000
    )

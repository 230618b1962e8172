"""The watch: leads, measures what is due, writes readings and flips, prunes.

One thread decides and writes; probes run beside it (`runner`). While the database is away the
last leader keeps measuring and holds what it found back, so an outage is in the history of the
database's own check; a watch that did not lead before the outage stays quiet.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Protocol

from django.db import DatabaseError, InterfaceError, OperationalError, connection

from healthchecks.defaults import ensure_default_checks
from healthchecks.models import HealthCheck
from healthchecks.monitor import State
from healthchecks.recording import Measured, prune, record
from healthchecks.runner import Runner
from healthchecks.timetable import Timetable

log = logging.getLogger(__name__)

TICK = 0.1  # seconds; the finest an interval of one second needs
RENEW_EVERY = 1.0  # seconds; the lease lasts five
RELOAD_EVERY = 2.0  # seconds until an edited check is measured as edited
PRUNE_EVERY = 300.0  # seconds
HELD_BACK = 2000  # measurements kept while the database is away


class Lease(Protocol):
    """What the watch needs of a lease."""

    def acquire_or_renew(self) -> int | None:
        """The term when this process leads now, else None."""

    def resign(self) -> None:
        """Let another one lead at once."""


class Watch:
    """One watch process; `run` returns when `stop` is set."""

    def __init__(self, lease: Lease, stop: threading.Event, runner: Runner | None = None) -> None:
        self._lease = lease
        self._stop = stop
        self._runner = runner or Runner()
        self._timetable = Timetable()
        self._checks: dict[int, HealthCheck] = {}
        self._found: deque[Measured] = deque(maxlen=HELD_BACK)
        self._term: int | None = None
        self._blind = False  # the database is away
        self._waiting_told = False
        self._defaults_due = True
        self._next_renewal = self._next_reload = self._next_prune = 0.0

    def run(self) -> None:
        """Watch until stopped, then let another one lead. Raises AllStuck."""
        try:
            while not self._stop.is_set():
                self.tick()
                self._stop.wait(TICK)
        finally:
            self._resign()

    def tick(self) -> None:
        """One round: lead, start what is due, write what was found."""
        now = time.monotonic()
        try:
            self._lead(now)
            if self._term is not None and not self._blind:
                self._reload(now)
        except DatabaseError as error:
            self._go_blind(error)
        if self._term is None:
            return
        self._start_due(now)
        self._found.extend(self._runner.collect())
        if not self._blind:
            self._write(now)

    def _lead(self, now: float) -> None:
        if now < self._next_renewal:
            return
        self._next_renewal = now + RENEW_EVERY
        term = self._lease.acquire_or_renew()
        if self._blind:
            log.info("the database is back")
            self._blind = False
        if term != self._term:
            self._change_term(term)
        elif term is None and not self._waiting_told:
            self._waiting_told = True
            log.info("another watch leads; waiting")

    def _change_term(self, term: int | None) -> None:
        """Leading begins, ends, or begins anew after an outage in which nobody else led."""
        before, self._term = self._term, term
        if term is None:
            log.warning("another watch leads now; measuring stops")
            self._found.clear()
            return
        log.info("leads with term %d", term)
        if before is None or term != before + 1:
            self._found.clear()
        self._next_reload = 0.0
        self._defaults_due = True

    def _reload(self, now: float) -> None:
        if now < self._next_reload:
            return
        if self._defaults_due:
            created = ensure_default_checks()
            if created:
                log.info("created the checks %s", ", ".join(row.name for row in created))
            self._defaults_due = False
        self._next_reload = now + RELOAD_EVERY
        rows = HealthCheck.objects.filter(enabled=True).select_related("tenant")
        self._checks = {row.pk: row for row in rows}
        self._timetable.follow({pk: row.interval_seconds for pk, row in self._checks.items()}, now)

    def _start_due(self, now: float) -> None:
        for pk in self._timetable.take_due(now):
            if not self._runner.start(self._checks[pk]):
                self._timetable.again(pk, now)

    def _write(self, now: float) -> None:
        try:
            while self._found:
                self._record(self._found[0])
                self._found.popleft()
            if now >= self._next_prune:
                self._next_prune = now + PRUNE_EVERY
                prune()
        except (OperationalError, InterfaceError) as error:
            self._go_blind(error)

    def _record(self, measured: Measured) -> None:
        try:
            flip = record(measured)
        except (OperationalError, InterfaceError):
            raise
        except DatabaseError:  # this one cannot be written; the others can
            log.exception("a reading of check %d was lost", measured.check_id)
            return
        if flip is not None:
            level = logging.INFO if flip.after == State.OK else logging.WARNING
            name = self._checks[measured.check_id].name if measured.check_id in self._checks else ""
            log.log(level, "%s: %s → %s (%s)", name, flip.before, flip.after, flip.reason)

    def _go_blind(self, error: Exception) -> None:
        if not self._blind:
            log.warning("the database cannot be used: %s", " ".join(str(error).split()))
        self._blind = True
        self._next_renewal = time.monotonic() + RENEW_EVERY
        connection.close()

    def _resign(self) -> None:
        try:
            self._lease.resign()
        except DatabaseError:
            log.warning("the database is away: the lease ends by itself")

"""The coordinator's process: any number of replicas, one leads.

Three loops, each in a thread with a database connection of its own:

* *elector*: renews the lease once a second, whatever the other loops are doing;
* *dispatcher*: woken by notifications (PostgreSQL), by a change of the file (SQLite), or when a
  policy has units again for what waits, polling as a fallback;
* *keeper*: wakes what is due, expires, judges leases, fires schedules, reconciles,
  forgets, sums up spending.

A loop that meets a database error drops its connection and goes on; a loop that finds itself
deposed does nothing until its process leads again.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import psycopg
from django.db import DatabaseError, InterfaceError, connection, connections

from ansf_platform.celery import Profile, app
from coordination import lifecycle, reconciliation, retention, schedules, sql
from coordination.dispatch import Dispatcher
from coordination.leadership import RENEW_SECONDS, Leadership
from coordination.lifecycle.leading import Deposed
from coordination.publish import Publisher
from gateway import rollups

logger = logging.getLogger(__name__)

IDLE_SECONDS = 0.25  # between polls when nobody notifies
BUSY_SECONDS = 0.015  # between cycles that found work: the window holds more work than that
DUE_SECONDS = 0.05  # between two looks for tasks that have become due: a cycle is not to pay for it
TRICKLE_SECONDS = 0.003  # the same on SQLite, when all that was found was limited
SOON_SECONDS = 0.020  # a cycle that comes of itself so soon is not hurried by tasks that ended
SQLITE_POLL_SECONDS = 0.005
ERROR_SECONDS = 0.5
FORGET_SECONDS = 1.0  # of each ten seconds: judging leases must not wait for pruning
SESSION_OPTIONS = (
    "-c statement_timeout=3000 -c lock_timeout=1000 "
    "-c idle_in_transaction_session_timeout=2000 -c jit=off"
)


def bound_sessions() -> None:
    """Make every PostgreSQL session of this process give up early. Call before connecting."""
    if sql.postgres():
        options = connections.settings["default"].setdefault("OPTIONS", {})
        options["options"] = f"{options.get('options', '')} {SESSION_OPTIONS}".strip()
        connections["default"].close()


@dataclass(slots=True)
class Coordinator:
    """One replica."""

    profile: Profile
    holder: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}")
    _stopping: threading.Event = field(default_factory=threading.Event)
    _wake: threading.Event = field(default_factory=threading.Event)
    _room: threading.Event = field(default_factory=threading.Event)
    """Tasks ended since the cycle began."""
    _hurries: bool = False
    """Whether that is worth a cycle: the next one is not about to come of itself."""
    _leadership: Leadership = field(init=False)
    _publisher: Publisher = field(init=False)
    _threads: list[threading.Thread] = field(default_factory=list)
    _crashed: bool = False

    def __post_init__(self) -> None:
        self._leadership = Leadership("coordinator", self.holder)
        self._publisher = Publisher(app, self.profile)

    def run(self) -> bool:
        """Run until :meth:`stop`; resigns at the end, so that another can take over at once.

        Whether it ended because it was asked to, and not because a loop crashed.
        """
        self._publisher.start()
        loops: list[Callable[[], None]] = [self._elect, self._dispatch, self._keep]
        if sql.postgres():
            loops.append(self._listen)
        for loop in loops:
            thread = threading.Thread(target=self._guard, args=(loop,), name=loop.__name__)
            thread.start()
            self._threads.append(thread)
        for thread in self._threads:
            thread.join()
        self._publisher.stop()
        self._quietly(self._leadership.resign)
        connection.close()
        return not self._crashed

    def stop(self) -> None:
        """Ask all loops to end."""
        self._stopping.set()
        self._wake.set()

    def _guard(self, loop: Callable[[], None]) -> None:
        try:
            while not self._stopping.is_set():
                self._survive(loop, loop.__name__)
        except BaseException:
            logger.exception("%s crashed: this replica stops", loop.__name__)
            self._crashed = True
            self.stop()
            raise
        finally:
            self._quietly(connection.close)

    def _survive(self, action: Callable[[], object], name: str) -> None:
        """Do it; an error of the database, or a lost election, ends only this."""
        try:
            action()
        except Deposed as error:
            logger.warning("%s", error)
            self._stopping.wait(ERROR_SECONDS)
        except (DatabaseError, InterfaceError, psycopg.Error) as error:
            logger.warning("%s: database: %s", name, str(error).strip())
            self._quietly(connection.close)
            self._stopping.wait(ERROR_SECONDS)

    @staticmethod
    def _quietly(action: Callable[[], object]) -> None:
        try:
            action()
        except (DatabaseError, InterfaceError) as error:
            logger.debug("ignored: %s", error)

    def _elect(self) -> None:
        led = None
        while not self._stopping.is_set():
            term = self._leadership.acquire_or_renew()
            if term != led:
                logger.info("leads with term %s", term) if term else logger.info("follows")
                led = term
                self._wake.set()
            self._stopping.wait(RENEW_SECONDS)

    def _listen(self) -> None:
        connection.ensure_connection()
        raw = connection.connection
        raw.execute("LISTEN ansf")
        while not self._stopping.is_set():
            for note in raw.notifies(timeout=1.0, stop_after=1):
                self._hear(note.payload)

    def _hear(self, told: str) -> None:
        if told == sql.ONLY_ENDED:
            self._room.set()
        if told != sql.ONLY_ENDED or self._hurries:
            self._wake.set()

    def _dispatch(self) -> None:
        dispatcher = Dispatcher(self._publisher)
        waking = Duty(DUE_SECONDS, lifecycle.wake)
        seen = -1
        while not self._stopping.is_set():
            term = self._leadership.trusted_term()
            if term is None:
                self._stopping.wait(0.05)
                continue
            self._wake.clear()
            self._room.clear()
            looked = waking.run_if_due(term)
            moved = dispatcher.cycle(term)
            if moved and (dispatcher.flowing or not dispatcher.limits.waiting):
                self._stopping.wait(BUSY_SECONDS)
                continue
            # What became due since the last look, such as a retry at once, is not to wait for long.
            idle = min(IDLE_SECONDS if looked else DUE_SECONDS, dispatcher.limits.next_in)
            if sql.postgres():
                self._await_word(idle)
                continue
            if moved:  # a trickle that policies let through: nobody else is to wait for it
                self._stopping.wait(TRICKLE_SECONDS)
            seen = self._await_change(seen, idle)

    def _await_word(self, seconds: float) -> None:
        """Wait for a notification, or for so long.

        Beside a policy's trickle the end of each of its tasks would bring about a cycle that finds
        nothing, and whoever comes meanwhile would wait for that.
        """
        self._hurries = seconds > SOON_SECONDS
        if not (self._hurries and self._room.is_set()):
            self._wake.wait(seconds)
        self._hurries = False

    def _await_change(self, seen: int, seconds: float) -> int:
        """Wait until another connection wrote to the SQLite file, or for so long."""
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up and not self._stopping.is_set():
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA data_version")
                version: int = cursor.fetchone()[0]
            if version != seen:
                return version
            self._stopping.wait(SQLITE_POLL_SECONDS)
        return seen

    def _keep(self) -> None:
        duties = [
            Duty(0.25, lifecycle.expire),
            Duty(0.5, lifecycle.judge),
            Duty(0.5, schedules.fire_due),
            Duty(1.0, lifecycle.take_back_unclaimed),
            Duty(30.0, reconciliation.reconcile),
            Duty(10.0, _forget),
            Duty(600.0, _sum_up_spending),
        ]
        while not self._stopping.is_set():
            for duty in duties:
                # Each on its own: one that fails must not keep those after it from being done.
                term = self._leadership.trusted_term()
                if term is not None:
                    self._survive(partial(duty.run_if_due, term), duty.action.__name__)
            self._stopping.wait(0.1)


def _forget(term: int) -> None:
    give_up = time.monotonic() + FORGET_SECONDS
    while retention.prune_tasks(term) and time.monotonic() < give_up:
        pass
    retention.prune_rest(term)


def _sum_up_spending(_term: int) -> None:
    # Made from entries of ended days, the same whoever makes them: no term has to fence this.
    rollups.bring_up_to_date()


@dataclass(slots=True)
class Duty:
    """Something the leader does every so many seconds."""

    every: float
    action: Callable[[int], object]
    last: float = float("-inf")

    def run_if_due(self, term: int) -> bool:
        """Do it if its time has come; whether it had."""
        now = time.monotonic()
        if now - self.last < self.every:
            return False
        self.last = now
        self.action(term)
        return True

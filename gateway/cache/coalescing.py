"""Identical requests under way at the same time: one calls the model, the others wait for it.

The one that leads holds a lease with a fence, renewed while it lives by a thread of its process.
What ends it:

* It stores its answer: those that wait find it when they join again.
* It fails: one of those that wait leads, and the others wait for that one.
* It is given up, because who asked has gone: the same, and nobody counts it as a failure.
* Its answer may not be kept: those that wait are released and call each for themselves.
* It dies: the lease ends and one of those that wait leads. If it was only slow, its fence is older
  and what it brings is not stored over the newer answer.
* It takes longer than they want to wait, or Redis is away: they call for themselves.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock, Thread

from gateway.cache.connection import Away, Connection, command
from gateway.cache.keys import Partition
from gateway.cache.scripts import FLIGHT
from ratelimit.scripts import Command

LEASE_S = 5.0
_BEATS = 3
"""In one lease."""

_TOLD_MS = 1_000
"""How long it is told that a call failed."""


class Waited(StrEnum):
    """What became of the call that was waited for."""

    ENDED = "ended"
    """Its answer may be stored now, or nobody makes it any more."""
    FAILED = "failed"
    APART = "apart"
    """There is an answer, and it is not for others."""
    TOO_LONG = "too long"


_SEEN = {
    b"wait": None,
    b"failed": Waited.FAILED,
    b"apart": Waited.APART,
    b"gone": Waited.ENDED,
}


@dataclass(frozen=True, slots=True)
class Flight:
    """A call under way, and whether the holder of this value makes it."""

    partition: Partition
    key: str
    fence: str
    leads: bool


class Flights:
    """The calls under way, as one process sees them."""

    def __init__(self, connection: Connection, *, lease_s: float = LEASE_S) -> None:
        self._connection = connection
        self._lease_ms = int(lease_s * 1000)
        self._lock = Lock()
        self._led: dict[str, Flight] = {}
        self._beating_in = 0
        """The process whose thread renews the leases; 0 if none does."""

    def joining(self, partition: Partition, key: str, scope: str) -> Command:
        """What asks to lead, or to wait for the one that does."""
        return command(FLIGHT, partition, "join", self._lease_ms, key, scope)

    def joined(self, partition: Partition, key: str, reply: Sequence[bytes]) -> Flight:
        """What the reply to `joining` says, where it is no answer."""
        role, fence = reply
        flight = Flight(partition, key, fence.decode(), leads=role == b"lead")
        if flight.leads:
            self._beat_for(flight)
        return flight

    def land(self, flight: Flight) -> None:
        """The call has ended and its answer was stored; storing has freed the key."""
        with self._lock:
            self._led.pop(flight.fence, None)

    def end(self, flight: Flight) -> None:
        """The call was given up; another one of those that wait makes it."""
        self._over(flight, "end")

    def fail(self, flight: Flight) -> None:
        """The call has failed; another one of those that wait makes it."""
        self._over(flight, "fail")

    def part(self, flight: Flight) -> None:
        """The call has ended with an answer that is not for others; release them."""
        self._over(flight, "part")

    def look(self, flight: Flight) -> Waited | None:
        """What became of another one's call; None while it is under way."""
        try:
            state = self._connection.ask(
                FLIGHT, flight.partition, "look", 0, flight.key, flight.fence
            )
        except Away:
            return Waited.APART
        return _SEEN[state]

    def _over(self, flight: Flight, verb: str) -> None:
        self.land(flight)
        # Without Redis the lease ends by itself.
        with suppress(Away):
            self._connection.ask(FLIGHT, flight.partition, verb, _TOLD_MS, flight.key, flight.fence)

    def _beat_for(self, flight: Flight) -> None:
        with self._lock:
            if self._beating_in != os.getpid():  # a fork has neither the thread nor the calls
                self._beating_in, self._led = os.getpid(), {}
                Thread(target=self._beat, name="cache-flights", daemon=True).start()
            self._led[flight.fence] = flight

    def _beat(self) -> None:
        """Renew the leases of all calls that this process makes; ends when there are none."""
        while True:
            time.sleep(self._lease_ms / 1000 / _BEATS)
            with self._lock:
                flights = list(self._led.values())
                if not flights:
                    self._beating_in = 0
                    return
            for flight in flights:
                self._renew(flight)

    def _renew(self, flight: Flight) -> None:
        try:
            kept = self._connection.ask(
                FLIGHT, flight.partition, "beat", self._lease_ms, flight.key, flight.fence
            )
        except Away:
            return
        if not kept:
            self.land(flight)

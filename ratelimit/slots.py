"""Places that are held, not spent: at most `limit` holders at a time, whatever becomes of them.

A holder tells the server that it is there three times in its life (`life_s`); one that crashed
is given up when its life has passed, by the server's clock. Leaving twice changes nothing.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from ratelimit import level
from ratelimit.buckets import Bucket
from ratelimit.decision import UNLIMITED, BucketState, Decision, combine
from ratelimit.plans import Ask, Pause, Plan, Plans
from ratelimit.quota import SECOND_US

logger = logging.getLogger(__name__)

LIFE_S = 30.0
SHORTEST_LIFE_S = 1.0
BEATS = 3  # in a life: two may be lost
_FIRST_PAUSE_S = 0.01
_LONGEST_PAUSE_S = 0.25
_IDLE_S = 10.0  # how long the thread waits for another holder before it ends
Worth = Callable[[Decision], bool]


@dataclass(slots=True)
class SlotPlan:
    """One holder's way in and out."""

    plans: Plans
    buckets: tuple[Bucket, ...]
    life_s: float
    holder: str = field(default_factory=lambda: uuid.uuid4().hex)
    alone: bool = False
    """The places were given without Redis."""
    left: bool = False
    """They are not wanted any more."""

    def enter(self, wait_s: float, worth: Worth | None = None) -> Plan[Decision]:
        """A place in every bucket, or none; tries again for up to `wait_s`.

        `worth` says whether a denial is to be waited for; without it each is.
        """
        pause, left, self.left = _FIRST_PAUSE_S, wait_s, False
        while True:
            decision = yield from self._enter()
            if decision.allowed or left <= 0 or (worth is not None and not worth(decision)):
                return decision
            step = min(left, pause * random.uniform(0.5, 1.0))
            yield Pause(step)
            left, pause = left - step, min(2 * pause, _LONGEST_PAUSE_S)

    def beat(self) -> Plan[bool]:
        """Stay; False when the places had been given up meanwhile, or Redis is away."""
        if self.left:
            return False
        replies = yield from self._tell("beat", self.plans.calls.shards(self.buckets))
        if self.left:  # meanwhile: the beat may have come after, and brought the holder back
            yield from self._tell("leave", self.plans.calls.shards(self.buckets))
        return replies is not None and all(reply[0] == 1 for reply in replies)

    def leave(self) -> Plan[None]:
        """Give the places back; without Redis they are given up when their life has passed."""
        self.left = True
        if self.alone:
            self.plans.alone.leave(self.buckets)
        yield from self._tell("leave", self.plans.calls.shards(self.buckets))

    def _enter(self) -> Plan[Decision]:
        if not self.buckets:
            return UNLIMITED
        shards = self.plans.calls.shards(self.buckets)
        states: dict[Bucket, BucketState] = {}
        allowed = True
        for n, shard in enumerate(shards):
            replies = yield from self._tell("enter", (shard,))
            if replies is None:
                decision = self.plans.alone.enter(self.buckets)
                self.alone = decision.allowed
                return decision
            allowed = replies[0][0] == 1
            found = level.seen(shard, replies[0])
            states.update(zip(shard, map(_got, found) if allowed else found, strict=True))
            if not allowed:
                yield from self._tell("leave", shards[:n])
                break
        seen = [states[bucket] for bucket in self.buckets if bucket in states]
        return combine(tuple(seen), allowed=allowed)

    def _tell(self, verb: str, shards: Sequence[tuple[Bucket, ...]]) -> Plan[list[Any] | None]:
        if not shards:
            return []
        life_us = int(self.life_s * SECOND_US)
        calls = self.plans.calls
        replies: list[Any] | None = yield Ask(
            [calls.slot(verb, shard, self.holder, life_us) for shard in shards]
        )
        return replies


def _got(state: BucketState) -> BucketState:
    """After an entry: short only where a shadow let in one too many, not where it was the last."""
    return state._replace(retry_after=None) if state.remaining >= 0 else state


def life_of(buckets: Sequence[Bucket]) -> float:
    """Seconds until a holder that has crashed is given up: the shortest of the buckets' periods."""
    shortest = min([bucket.quota.period_us for bucket in buckets], default=0) / SECOND_US
    return max(shortest, SHORTEST_LIFE_S)


Drive = Callable[[Plan[Any]], Any]


class Slot:
    """A place for the length of a `with` block. `allowed` says whether it was got."""

    def __init__(self, plan: SlotPlan, wait_s: float, drive: Drive, heartbeat: Heartbeat) -> None:
        self._plan = plan
        self._wait_s = wait_s
        self._drive = drive
        self._heartbeat = heartbeat
        self.decision: Decision | None = None

    @property
    def allowed(self) -> bool:
        """Whether it is held; what a `with` block asks first."""
        return self.decision is not None and self.decision.allowed

    def entering(self, worth: Worth | None = None) -> Plan[Decision]:
        """`with` as a plan; who drives it drives `leaving` too, whatever comes of it."""
        self.decision = yield from self._plan.enter(self._wait_s, worth)
        if self.allowed and self._plan.buckets:
            self._heartbeat.add(self._plan)
        return self.decision

    def leaving(self) -> Plan[None]:
        """Give the places back, if they were got."""
        if self.allowed and self._plan.buckets:
            self._heartbeat.remove(self._plan)
            yield from self._plan.leave()

    def __enter__(self) -> Self:
        try:
            self._drive(self.entering())
        except BaseException:
            self._drive(self._plan.leave())  # it may have been let in
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._drive(self.leaving())


_NOBODY: tuple[str, tuple[float, SlotPlan | None]] = ("", (0.0, None))


def _due_at(entry: tuple[str, tuple[float, SlotPlan | None]]) -> float:
    return entry[1][0]


class Heartbeat:
    """The thread that tells that this process's holders are there; it ends when none has been."""

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._thread: threading.Thread | None = None
        self._begin()

    def add(self, plan: SlotPlan) -> None:
        """Keep a holder alive."""
        if self._pid != os.getpid():
            self._begin()  # a fork's parent holds its places itself
        with self._changed:
            self._due[plan.holder] = (time.monotonic() + plan.life_s / BEATS, plan)
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="limiter-beat", daemon=True)
                self._thread.start()

    def remove(self, plan: SlotPlan) -> None:
        """Let it go."""
        with self._changed:
            self._due.pop(plan.holder, None)

    def stop(self) -> None:
        """Let all go."""
        with self._changed:
            self._due.clear()
            self._stopped = self._thread is not None
            self._changed.notify()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._due: dict[str, tuple[float, SlotPlan]] = {}
        self._thread = None
        self._stopped = False

    def _run(self) -> None:
        while (plan := self._next()) is not None:
            try:
                self._drive(plan.beat())
            except Exception:  # the other holders need their beats
                logger.exception("a beat failed; the next one comes in time")

    def _next(self) -> SlotPlan | None:
        """Wait for the first that is due; None when there has been nothing for a while."""
        with self._changed:
            while True:
                holder, (due, plan) = min(self._due.items(), key=_due_at, default=_NOBODY)
                wait_s = due - time.monotonic()
                if plan is not None and wait_s <= 0:
                    self._due[holder] = (time.monotonic() + plan.life_s / BEATS, plan)
                    return plan
                changed = self._changed.wait(_IDLE_S if plan is None else wait_s)
                ends = self._stopped or (plan is None and not changed)
                self._stopped = False
                if ends and not self._due:  # nobody has come while it was to end
                    self._thread = None
                    return None

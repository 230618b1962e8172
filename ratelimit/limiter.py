"""The limiter: what buckets allow, decided in one round trip, exact across replicas."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TypeVar

from ratelimit import debts
from ratelimit.breaker import PROBE_EVERY_S, Breaker, Prober
from ratelimit.buckets import Bucket
from ratelimit.calls import Calls
from ratelimit.decision import BucketState, Decision, Grant, Reservation
from ratelimit.degraded import Local
from ratelimit.keys import Keys
from ratelimit.level import decide, grant_of
from ratelimit.plans import Ask, Change, Pause, Plan, Plans, Request
from ratelimit.scripts import PRODUCTION, Scripts, plain
from ratelimit.slots import Heartbeat, Slot, SlotPlan, life_of
from ratelimit.wire import (
    AWAY,
    CONNECT_S,
    Client,
    Replies,
    Unreachable,
    connect,
    is_spoilt,
)

logger = logging.getLogger(__name__)

T = TypeVar("T")
BUDGET_S = 0.002
"""How long a decision waits for Redis before its policies decide without it."""
WORKERS = 8
RESERVATION_S = 3600.0
PATIENCE_S = 1.0
"""How long the thread that pays debts waits, whom nobody waits for."""
ECHOED = "{ansf}"  # asked of the node that keeps the levels


class Limiter:
    """Decides on a redis-py client, of one server or of a cluster; threads share it, forks too.

    No error of Redis reaches a caller: without it, policies say what passes (`degraded`), and
    `workers` says among how many processes a local share is divided. Without a client it is
    always so. A ValueError tells of a cost that cannot be counted.
    """

    _slot_plan = SlotPlan

    def __init__(
        self,
        client: Client | None,
        *,
        keys: Keys | None = None,
        scripts: Scripts = PRODUCTION,
        workers: int = WORKERS,
        budget_s: float = BUDGET_S,
        connect_s: float = CONNECT_S,
        probe_every_s: float = PROBE_EVERY_S,
    ) -> None:
        self._client = client
        self._calls = Calls(keys or Keys(), scripts)
        self.alone = Local(workers)
        self._wire = connect(client, budget_s, connect_s, self.alone.hear)
        self.breaker = Breaker()
        self._plans = Plans(self._calls, self.alone)
        self._prober = Prober(self._revive, probe_every_s)
        self._heartbeat = Heartbeat(self._drive)
        self._one_step = not self._calls.keys.shard_by

    # --- spending ---------------------------------------------------------------------------
    def acquire(
        self, buckets: Sequence[Bucket], cost: int = 1, *, wait: float | None = None
    ) -> Decision:
        """Charge `cost` to all buckets or to none.

        With `wait`, a request that does not fit now is given the next free time slot if that is
        at most so many seconds away, first come first served, and this sleeps until then.
        """
        if wait or not self._one_step or self.breaker.open or not buckets:
            return self._drive(self._plans.acquire(buckets, cost, wait or 0.0))
        # The usual case, written out: it is the hot path. The plan does the same.
        try:
            reply = self._wire.ask(self._calls.charge(tuple(buckets), cost, 0))
        except AWAY as error:
            self._failed(error)
            return self.alone.acquire(buckets, cost)
        if self.breaker.failures or self.alone.owing:
            self._answered()
        return decide(buckets, cost, reply)

    def acquire_many(self, requests: Sequence[Request]) -> list[Decision]:
        """One decision for each (buckets, cost), in one round trip."""
        return self._drive(self._plans.acquire_many(requests))

    def take(self, bucket: Bucket, at_most: int) -> Grant:
        """Charge as many whole units as fit, up to `at_most`."""
        if self.breaker.open:
            return self._drive(self._plans.take_many([(bucket, at_most)]))[0]
        try:
            reply = self._wire.ask(self._calls.take(bucket, at_most))
        except AWAY as error:
            self._failed(error)
            return self.alone.take(bucket, at_most)
        if self.breaker.failures or self.alone.owing:
            self._answered()
        return grant_of(bucket, at_most, reply)

    def take_many(self, wishes: Sequence[tuple[Bucket, int]]) -> list[Grant]:
        """`take` for several buckets, in one round trip."""
        return self._drive(self._plans.take_many(wishes))

    def refund(self, buckets: Sequence[Bucket], cost: int) -> bool:
        """Give `cost` units back to every bucket, at once after they were taken: what has been
        refilled since is given a second time.

        False: it is done when Redis is back, or, if Redis was told and did not answer, perhaps
        never, for it is not told twice. Only `charged_of` a decision's buckets have anything to
        be given back.
        """
        return self._drive(self._plans.refund([(bucket, cost) for bucket in buckets]))

    def refund_many(self, changes: Sequence[Change]) -> bool:
        """`refund` of so many units to each bucket, in one round trip."""
        return self._drive(self._plans.refund(changes))

    def charge_many(self, changes: Sequence[Change]) -> bool:
        """Charge so many units to each bucket without asking, as a debt if need be."""
        return self._drive(self._plans.charge(changes))

    # --- looking ----------------------------------------------------------------------------
    def peek(self, buckets: Sequence[Bucket]) -> Decision:
        """What `acquire` with cost 0 answers: allowed unless one is in debt; changes nothing."""
        return self.acquire(buckets, 0)

    def peek_many(self, buckets: Sequence[Bucket]) -> list[BucketState]:
        """The state of each bucket, `retry_after` being for one unit; one round trip."""
        return self._drive(self._plans.peek_many(buckets))

    def reset(self, buckets: Sequence[Bucket]) -> bool:
        """Fill the buckets up and let go of their slots. False: Redis is away."""
        return self._drive(self._plans.reset(buckets))

    @property
    def degraded(self) -> bool:
        """Whether decisions are made without Redis at the moment."""
        return self.breaker.open

    # --- reserving --------------------------------------------------------------------------
    def reserve(
        self, buckets: Sequence[Bucket], estimate: int, *, life_s: float = RESERVATION_S
    ) -> Reservation:
        """Charge an estimate that `settle` corrects; if nobody has in `life_s`, it stays."""
        return self._drive(self._plans.reserve(buckets, estimate, life_s))

    def settle(self, reservation: Reservation | str, actual: int) -> bool:
        """Replace the estimate by what it was, as a debt if it was more.

        False when there is nothing to settle: it was settled before, has expired, was not
        allowed, or Redis is away (the estimate stays charged).
        """
        return self._drive(self._plans.settle(reservation, actual))

    def cancel(self, reservation: Reservation | str) -> bool:
        """Give the whole estimate back; the same as settling at 0."""
        return self._drive(self._plans.settle(reservation, 0))

    # --- holding ----------------------------------------------------------------------------
    def slot(
        self, buckets: Sequence[Bucket], *, wait: float = 0.0, life_s: float | None = None
    ) -> Slot:
        """A place in every bucket for a `with` block; `slot.decision` says if it was got.

        One that has crashed holds it for `life_s`, usually the shortest period of the buckets.
        """
        entering = self._slot_plan(self._plans, tuple(buckets), life_s or life_of(buckets))
        return Slot(entering, wait, self._drive, self._heartbeat)

    # --- several things at once -------------------------------------------------------------
    @property
    def plans(self) -> Plans:
        """The verbs as plans, to be driven together (:func:`ratelimit.plans.together`)."""
        return self._plans

    def run(self, plan: Plan[T]) -> T:
        """What a plan comes to; where it pauses this sleeps."""
        return self._drive(plan)

    def ask(self, ask: Ask) -> Replies | None:
        """One round trip of a plan that somebody else drives; None: Redis is away."""
        return self._ask(ask)

    def connect(self) -> None:
        """Connect before the first decision would have to; without Redis the breaker opens."""
        if self._client is None or self.breaker.open:
            return
        try:
            self._wire.warm(PATIENCE_S)
        except AWAY as error:
            self._failed(error)

    def close(self) -> None:
        """Pay what is owed, if Redis is there, and give the connections back."""
        self._prober.stop()
        self._heartbeat.stop()
        if self.alone.owing and not self.breaker.open:
            self._pay()
        self._wire.close()

    # --- driving ----------------------------------------------------------------------------
    def _drive(self, plan: Plan[T]) -> T:
        try:
            step = next(plan)
            while True:
                if isinstance(step, Ask):
                    step = plan.send(self._ask(step))
                else:
                    step = self._sleep(plan, step)
        except StopIteration as done:
            result: T = done.value
            return result

    def _sleep(self, plan: Plan[T], step: Pause) -> Ask | Pause:
        try:
            time.sleep(step.seconds)
        except BaseException as error:  # noqa: BLE001 - the plan gives back and raises it again
            return plan.throw(error)
        return plan.send(None)

    def _ask(self, ask: Ask) -> Replies | None:
        if self.breaker.open:
            self._ensure_probing()
            return None
        try:
            replies = self._wire.run(ask.commands)
        except AWAY as error:
            ask.unsure = not isinstance(error, Unreachable)
            self._failed(error)
            return None
        self._answered()
        return replies

    def _failed(self, error: BaseException) -> None:
        if is_spoilt(error):
            logger.warning("decided without Redis, which holds something else there: %s", error)
        elif self.breaker.failed(error, for_good=isinstance(error, Unreachable)):
            self._wire.close()
            self._ensure_probing()

    def _ensure_probing(self) -> None:
        if self._client is not None:
            self._prober.ensure()  # again in a fork, which leaves the thread behind

    def _answered(self) -> None:
        self.breaker.succeeded()
        if self.alone.owing:
            self._ensure_probing()  # it pays, so that no caller's time is spent on it

    def _revive(self) -> bool:
        """Whether Redis is back; then what was admitted without it has been charged."""
        if not self._pay():
            return False
        try:
            self._wire.warm(PATIENCE_S)
        except AWAY:
            return False
        self.breaker.succeeded()
        return True

    def _pay(self) -> bool:
        """Charge what is owed, with patience and past the breaker."""
        wire = connect(self._client, PATIENCE_S, PATIENCE_S)
        owed = self.alone.debts()
        try:
            wire.ask(plain(ECHOED, "ECHO", ECHOED))
            while owed:
                some = owed[: debts.AT_ONCE]
                try:
                    replies = wire.replies(debts.commands(self._calls, some))
                except AWAY as error:
                    owed[: debts.AT_ONCE] = debts.after(error, some)
                    return False
                owed[: debts.AT_ONCE] = left = debts.unpaid(some, replies)
                if left:
                    return False
        except AWAY:
            return False
        finally:
            for bucket, units in owed:
                self.alone.owe((bucket,), units)
            wire.close()
        return True

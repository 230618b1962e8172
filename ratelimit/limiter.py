"""The limiter: what a bucket allows, decided in one round trip, exact across replicas."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TypeVar

import redis
from redis.exceptions import RedisError

from ratelimit.buckets import Bucket
from ratelimit.decision import BucketState, Decision, Grant, Reservation
from ratelimit.degraded import Local
from ratelimit.keys import Keys
from ratelimit.plans import Ask, Pause, Plan, Plans, Replies, Request
from ratelimit.scripts import PRODUCTION, Scripts
from ratelimit.wire import Wire

T = TypeVar("T")
BUDGET_S = 0.002
RESERVATION_S = 3600.0


class Limiter:
    """Decides on a redis-py client. No error of Redis reaches a caller: see `degraded`."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        keys: Keys | None = None,
        scripts: Scripts = PRODUCTION,
        workers: int = 8,
        budget_s: float = BUDGET_S,
    ) -> None:
        self._wire = Wire(client, budget_s)
        self._plans = Plans(keys or Keys(), scripts, Local(workers))

    def acquire(
        self, buckets: Sequence[Bucket], cost: int = 1, *, wait: float | None = None
    ) -> Decision:
        """Charge `cost` to all buckets or to none; sleep up to `wait` seconds for the slot."""
        return self._drive(self._plans.acquire(buckets, cost, wait or 0.0))

    def acquire_many(self, requests: Sequence[Request]) -> list[Decision]:
        """One decision for each (buckets, cost), in one round trip."""
        return self._drive(self._plans.acquire_many(requests))

    def take(self, bucket: Bucket, at_most: int) -> Grant:
        """Charge as many whole units as fit, up to `at_most`."""
        return self._drive(self._plans.take_many([(bucket, at_most)]))[0]

    def take_many(self, wishes: Sequence[tuple[Bucket, int]]) -> list[Grant]:
        """`take` for several buckets, in one round trip."""
        return self._drive(self._plans.take_many(wishes))

    def peek(self, buckets: Sequence[Bucket]) -> Decision:
        """What `acquire` with cost 0 would answer; changes nothing."""
        return self._drive(self._plans.acquire(buckets, 0, 0.0))

    def peek_many(self, buckets: Sequence[Bucket]) -> list[BucketState]:
        """The state of each bucket, `retry_after` being for one unit; one round trip."""
        return self._drive(self._plans.peek_many(buckets))

    def reserve(
        self, buckets: Sequence[Bucket], estimate: int, *, life_s: float = RESERVATION_S
    ) -> Reservation:
        """Charge an estimate that `settle` corrects; unsettled after `life_s`, it stays."""
        return self._drive(self._plans.reserve(buckets, estimate, life_s))

    def settle(self, reservation: Reservation, actual: int) -> bool:
        """Replace the estimate by what it was; the second time changes nothing."""
        return self._drive(self._plans.settle(reservation, actual))

    def cancel(self, reservation: Reservation) -> bool:
        """Give the whole estimate back."""
        return self.settle(reservation, 0)

    def refund(self, buckets: Sequence[Bucket], cost: int) -> bool:
        """Give `cost` units back to every bucket."""
        return self._drive(self._plans.refund(buckets, cost))

    def reset(self, buckets: Sequence[Bucket]) -> bool:
        """Fill the buckets up."""
        return self._drive(self._plans.reset(buckets))

    def close(self) -> None:
        """Give the connections back."""
        self._wire.close()

    def _drive(self, plan: Plan[T]) -> T:
        try:
            step = next(plan)
            while True:
                if isinstance(step, Ask):
                    step = plan.send(self._ask(step))
                else:
                    step = self._pause(plan, step)
        except StopIteration as done:
            result: T = done.value
            return result

    def _pause(self, plan: Plan[T], step: Pause) -> Ask | Pause:
        try:
            time.sleep(step.seconds)
        except BaseException as error:  # noqa: BLE001 - the plan refunds and raises it again
            return plan.throw(error)
        return plan.send(None)

    def _ask(self, ask: Ask) -> Replies:
        try:
            return self._wire.run(ask.commands)
        except (RedisError, OSError):
            return None

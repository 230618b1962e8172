"""The limiter for asyncio: the same plans, scripts and promises as :mod:`ratelimit.limiter`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, TypeVar

from redis.asyncio import Redis, RedisCluster

from ratelimit import debts
from ratelimit.async_slots import AsyncSlot
from ratelimit.async_wire import connect
from ratelimit.breaker import PROBE_EVERY_S, Breaker, waits
from ratelimit.buckets import Bucket
from ratelimit.calls import Calls
from ratelimit.decision import BucketState, Decision, Grant, Reservation
from ratelimit.degraded import Local
from ratelimit.keys import Keys
from ratelimit.limiter import BUDGET_S, ECHOED, PATIENCE_S, RESERVATION_S, WORKERS
from ratelimit.line import Busy
from ratelimit.plans import Ask, Change, Pause, Plan, Plans, Request
from ratelimit.scripts import PRODUCTION, Scripts, plain
from ratelimit.slots import SlotPlan, life_of
from ratelimit.wire import AWAY, Replies, Unreachable, is_spoilt

logger = logging.getLogger(__name__)

T = TypeVar("T")


class AsyncLimiter:
    """`Limiter` with every verb awaited. It belongs to the event loop that its client is used in.

    `alone` and `breaker` may be those of the process's `Limiter`, so that both together keep to
    one share without Redis.
    """

    _slot_plan = SlotPlan

    def __init__(
        self,
        client: Redis | RedisCluster,
        *,
        keys: Keys | None = None,
        scripts: Scripts = PRODUCTION,
        workers: int = WORKERS,
        budget_s: float = BUDGET_S,
        probe_every_s: float = PROBE_EVERY_S,
        alone: Local | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        self._client = client
        self._wire = connect(client, budget_s)
        self._calls = Calls(keys or Keys(), scripts)
        self.alone = alone or Local(workers)
        self.breaker = breaker or Breaker()
        self._plans = Plans(self._calls, self.alone)
        self._probe_every_s = probe_every_s
        self._probing: asyncio.Task[None] | None = None

    async def acquire(
        self, buckets: Sequence[Bucket], cost: int = 1, *, wait: float | None = None
    ) -> Decision:
        """Charge `cost` to all buckets or to none; with `wait`, sleep until the slot given."""
        plan = self._plans.acquire(buckets, cost, wait or 0.0)
        return await (self._drive_to_its_end(plan) if wait else self._drive(plan))

    async def acquire_many(self, requests: Sequence[Request]) -> list[Decision]:
        """One decision for each (buckets, cost), in one round trip."""
        return await self._drive(self._plans.acquire_many(requests))

    async def take(self, bucket: Bucket, at_most: int) -> Grant:
        """Charge as many whole units as fit, up to `at_most`."""
        return (await self._drive(self._plans.take_many([(bucket, at_most)])))[0]

    async def take_many(self, wishes: Sequence[tuple[Bucket, int]]) -> list[Grant]:
        """`take` for several buckets, in one round trip."""
        return await self._drive(self._plans.take_many(wishes))

    async def refund(self, buckets: Sequence[Bucket], cost: int) -> bool:
        """Give `cost` units back to every bucket."""
        return await self._drive(self._plans.refund([(bucket, cost) for bucket in buckets]))

    async def refund_many(self, changes: Sequence[Change]) -> bool:
        """`refund` of so many units to each bucket."""
        return await self._drive(self._plans.refund(changes))

    async def charge_many(self, changes: Sequence[Change]) -> bool:
        """Charge so many units to each bucket without asking, as a debt if need be."""
        return await self._drive(self._plans.charge(changes))

    async def peek(self, buckets: Sequence[Bucket]) -> Decision:
        """What `acquire` with cost 0 answers; changes nothing."""
        return await self.acquire(buckets, 0)

    async def peek_many(self, buckets: Sequence[Bucket]) -> list[BucketState]:
        """The state of each bucket, in one round trip."""
        return await self._drive(self._plans.peek_many(buckets))

    async def reset(self, buckets: Sequence[Bucket]) -> bool:
        """Fill the buckets up and let go of their slots."""
        return await self._drive(self._plans.reset(buckets))

    async def reserve(
        self, buckets: Sequence[Bucket], estimate: int, *, life_s: float = RESERVATION_S
    ) -> Reservation:
        """Charge an estimate that `settle` corrects."""
        return await self._drive(self._plans.reserve(buckets, estimate, life_s))

    async def settle(self, reservation: Reservation | str, actual: int) -> bool:
        """Replace the estimate by what it was; the second time changes nothing."""
        return await self._drive(self._plans.settle(reservation, actual))

    async def cancel(self, reservation: Reservation | str) -> bool:
        """Give the whole estimate back."""
        return await self._drive(self._plans.settle(reservation, 0))

    def slot(
        self, buckets: Sequence[Bucket], *, wait: float = 0.0, life_s: float | None = None
    ) -> AsyncSlot:
        """A place in every bucket for an `async with` block."""
        plan = self._slot_plan(self._plans, tuple(buckets), life_s or life_of(buckets))
        return AsyncSlot(plan, wait, self._drive)

    @property
    def degraded(self) -> bool:
        """Whether decisions are made without Redis at the moment."""
        return self.breaker.open

    async def close(self) -> None:
        """Pay what is owed, if Redis is there, and let the client's connections go."""
        if self._probing is not None:
            self._probing.cancel()
        if self.alone.owing and not self.breaker.open:
            await self._pay()
        await self._client.aclose()

    # --- driving ----------------------------------------------------------------------------
    async def _drive(self, plan: Plan[T]) -> T:
        try:
            step = next(plan)
            while True:
                if isinstance(step, Ask):
                    step = plan.send(await self._ask(step))
                else:
                    step = _after(plan, await _interruption_of(step.seconds))
        except StopIteration as done:
            result: T = done.value
            return result

    async def _drive_to_its_end(self, plan: Plan[T]) -> T:
        """`_drive` for a plan that gives back: cancelled while Redis answers, it hears the answer
        first, because only that says whether there is something to give back.
        """
        cancelled: asyncio.CancelledError | None = None
        try:
            step = next(plan)
            while True:
                if isinstance(step, Ask):
                    asking = asyncio.ensure_future(self._ask(step))
                    try:
                        replies = await asyncio.shield(asking)
                    except asyncio.CancelledError as error:
                        cancelled, replies = error, await asking
                    step = plan.send(replies)
                elif cancelled is not None:
                    step = plan.throw(cancelled)
                else:
                    step = _after(plan, await _interruption_of(step.seconds))
        except StopIteration as done:
            if cancelled is not None:
                raise cancelled from None
            result: T = done.value
            return result

    async def _ask(self, ask: Ask) -> Replies | None:
        if self.breaker.open:
            self._ensure_probing()
            return None
        try:
            replies = await self._wire.run(ask.commands)
        except AWAY as error:
            ask.unsure = not isinstance(error, Unreachable | Busy)
            self._failed(error)
            return None
        self.breaker.succeeded()
        if self.alone.owing:
            self._ensure_probing()
        return replies

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, Busy):
            logger.debug("decided without Redis: %s", error)
        elif is_spoilt(error):
            logger.warning("decided without Redis, which holds something else there: %s", error)
        elif self.breaker.failed(error, for_good=isinstance(error, Unreachable)):
            self._ensure_probing()

    def _ensure_probing(self) -> None:
        if self._probing is None or self._probing.done():
            self._probing = asyncio.get_running_loop().create_task(self._probe())

    async def _probe(self) -> None:
        for wait_s in waits(self._probe_every_s):
            await asyncio.sleep(wait_s)
            try:
                if await self._pay():
                    self.breaker.succeeded()
                    return
            except Exception:  # whatever it was, nobody else would ask
                logger.exception("looking for Redis failed; it is looked for again")

    async def _pay(self) -> bool:
        """Charge what is owed, with patience and past the breaker."""
        wire = connect(self._client, PATIENCE_S)
        owed = self.alone.debts()
        try:
            await wire.run((plain(ECHOED, "ECHO", ECHOED),))
            while owed:
                some = owed[: debts.AT_ONCE]
                try:
                    replies = await wire.replies(debts.commands(self._calls, some))
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
        return True


async def _interruption_of(seconds: float) -> BaseException | None:
    """Sleep; what ended it early, if anything did."""
    try:
        await asyncio.sleep(seconds)
    except BaseException as error:  # noqa: BLE001 - the plan gives back and raises it again
        return error
    return None


def _after(plan: Plan[Any], error: BaseException | None) -> Ask | Pause:
    return plan.send(None) if error is None else plan.throw(error)

"""Many calls at once, on a database in a file: limits, slots, budgets and money stay exact."""

from __future__ import annotations

import asyncio
import contextlib
from decimal import Decimal

from gateway.breaker import Rules
from gateway.errors import BudgetExhausted, GatewayError, LimitReached
from gateway.models import Budget, BudgetPeriod, LedgerEntry
from gateway.pipe import Terms, acomplete, astream
from gateway.providers.connections import close_async
from gateway.request import HitLevel
from ratelimit import policies
from ratelimit.models import Policy
from ratelimit.subject import Subject
from tests.databases import in_threads
from tests.gateway.calls.threaded import db, threads_of_its_own
from tests.gateway.server import Turn, cut, failing, limited, said_to

__all__ = ["db", "threads_of_its_own"]
HOT = {"temperature": 1.0}


def run(*calls):
    """Await all at once; answers, or what was raised."""

    async def together():
        try:
            return await asyncio.gather(*calls, return_exceptions=True)
        finally:
            await close_async()

    return asyncio.run(together())


def acall(gateway, question, **fields):
    return acomplete(gateway.request(question, **fields), Terms(), gateway.around)


def test_identical_calls_at_once_call_the_model_once(gateway):
    gateway.server.plan(then=Turn(delay_s=0.3))

    answers = run(*(acall(gateway, "What is it?") for _ in range(24)))

    assert {answer.text for answer in answers} == {said_to("What is it?")}
    assert gateway.server.calls == 1
    levels = [answer.hit_level for answer in answers]
    assert levels.count(HitLevel.NONE) == 1
    assert HitLevel.COALESCED in levels
    assert gateway.spent == gateway.server.money
    assert gateway.entries == 24


def test_identical_calls_in_threads_call_the_model_once(gateway):
    gateway.server.plan(then=Turn(delay_s=0.3))

    answers = in_threads(*[lambda: gateway.ask("What is it?")] * 6)

    assert len({answer.text for answer in answers}) == gateway.server.calls == 1
    assert gateway.spent == gateway.server.money


def test_whoever_waited_calls_when_the_one_that_led_has_failed(gateway):
    gateway.provider.retries = 0
    gateway.provider.save()
    gateway.server.plan(Turn(status=500, delay_s=0.2), then=Turn())

    answers = run(*(acall(gateway, "What is it?") for _ in range(6)))

    failed = [answer for answer in answers if isinstance(answer, GatewayError)]
    assert len(failed) == 1
    assert gateway.server.calls == 2  # one of those that waited led, the others waited for it
    assert gateway.entries == 5
    assert gateway.spent == gateway.server.money


def test_when_the_one_that_led_goes_away_one_of_those_that_waited_calls(gateway):
    gateway.server.plan(then=Turn(delay_s=0.3))

    async def left():
        first = asyncio.ensure_future(acall(gateway, "What is it?"))
        await asyncio.to_thread(gateway.server.asked.wait, 10)
        others = [asyncio.ensure_future(acall(gateway, "What is it?")) for _ in range(20)]
        await asyncio.sleep(0.1)
        first.cancel()
        try:
            return await asyncio.gather(*others)
        finally:
            await close_async()

    answers = asyncio.run(left())

    assert {answer.text for answer in answers} == {said_to("What is it?")}
    assert gateway.server.calls == 2
    assert gateway.entries == 20


def test_an_answer_that_is_nobody_elses_releases_those_that_wait_at_once(gateway):
    gateway.server.plan(then=Turn(delay_s=0.2, finish="length"))

    answers = run(*(acall(gateway, "What is it?") for _ in range(6)))

    assert [answer.finish_reason for answer in answers] == ["length"] * 6
    assert gateway.server.most_under_way > 2  # together, and not one after the other
    assert gateway.spent == gateway.server.money


def test_a_limit_is_never_exceeded_and_the_slots_of_a_provider_neither(gateway):
    Policy.objects.create(
        name="calls", limit=20, unit="requests", period_seconds=Decimal(86_400), scope="global",
        applies_to="gateway",
    )  # fmt: skip
    policies.forget()
    assert policies.applying("gateway", Subject())  # read before many ask at once
    gateway.provider.slots = 4
    gateway.provider.save()
    gateway.around = gateway.surroundings(Rules(least_calls=99))
    gateway.server.plan(failing(), limited(0), cut(2), then=Turn(delay_s=0.02))

    answers = run(*(acall(gateway, f"Question {n}", **HOT) for n in range(40)))

    refused = [answer for answer in answers if isinstance(answer, LimitReached)]
    assert gateway.server.calls == 20
    assert gateway.server.most_under_way <= 4
    assert len(refused) == 40 - gateway.entries >= 20
    assert gateway.spent == gateway.server.money
    assert gateway.entries == gateway.server.answered == 17


def test_no_number_of_calls_overruns_a_budget(gateway):
    row = Budget.objects.create(tenant=gateway.tenant, name="month", hard=60_000)

    answers = run(*(acall(gateway, f"Question {n}", max_tokens=20, **HOT) for n in range(20)))

    assert any(isinstance(answer, BudgetExhausted) for answer in answers)
    assert not [a for a in answers if isinstance(a, Exception) and not isinstance(a, GatewayError)]
    period = BudgetPeriod.objects.get(budget=row)
    assert period.spent == gateway.spent == gateway.server.money <= 60_000
    assert period.held == 0


def test_a_call_that_is_cancelled_gives_everything_back(gateway):
    Budget.objects.create(tenant=gateway.tenant, name="month", hard=10**9)
    gateway.server.plan(then=Turn(delay_s=1.0))

    async def cancelled():
        working = asyncio.ensure_future(acall(gateway, "What is it?"))
        await asyncio.to_thread(gateway.server.asked.wait, 10)
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        await close_async()

    asyncio.run(cancelled())

    assert gateway.entries == 0
    assert BudgetPeriod.objects.get().held == 0
    gateway.server.plan()
    assert gateway.ask("What is it?").hit_level is HitLevel.NONE


def test_a_stream_that_is_left_is_paid_as_far_as_it_went(gateway):
    gateway.server.plan(then=Turn(drip_s=0.05))

    async def left():
        request = gateway.request("What is it?", stream=True)
        async with contextlib.aclosing(astream(request, Terms(), gateway.around)) as chunks:
            await anext(chunks)
            await anext(chunks)
        await close_async()

    asyncio.run(left())

    part = LedgerEntry.objects.get()
    assert 0 < part.tokens_out < 8
    assert part.cost > 0
    gateway.server.plan()
    assert gateway.ask("What is it?").hit_level is HitLevel.NONE

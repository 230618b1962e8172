"""Limits and budgets around calls: what they refuse, wait for, hold and give back."""

from __future__ import annotations

import time
from dataclasses import replace
from decimal import Decimal

import pytest

from gateway import catalogue
from gateway.errors import (
    BudgetExhausted,
    LimitReached,
    ProviderRefused,
)
from gateway.models import Budget, BudgetHold
from gateway.pipe import Terms
from ratelimit import counting, policies
from ratelimit.counted import CountedLimiter
from ratelimit.keys import Keys
from ratelimit.models import Policy
from ratelimit.subject import Subject
from tests.gateway.server import failing

HOT = {"temperature": 1.0}
"""Never cached."""


def limit(name, count, unit="requests", period=3600, **columns):
    columns = {"scope": "global", "applies_to": "gateway", **columns}
    row = Policy.objects.create(
        name=name, limit=count, unit=unit, period_seconds=Decimal(period), **columns
    )
    policies.forget()
    return row


def test_a_limit_of_requests_counts_attempts_too(gateway):
    limit("calls", 3)
    gateway.server.plan(failing(), failing())

    gateway.ask("One", **HOT)
    with pytest.raises(LimitReached) as caught:
        gateway.ask("Two", **HOT)

    assert gateway.server.calls == 3
    assert caught.value.violated == ("calls",)
    assert caught.value.retry_after > 0


def test_hits_are_not_limited(gateway):
    limit("calls", 1)

    texts = {gateway.ask("What is it?").text for _ in range(5)}

    assert len(texts) == gateway.server.calls == 1


def test_tokens_are_reserved_before_and_settled_after(gateway):
    limit("tokens", 100_000, unit="tokens", period=864_000)  # so slow that no refill is seen
    buckets = policies.applying("gateway", Subject(tenant=str(gateway.tenant.pk), model="small"))

    gateway.ask("One", max_tokens=5_000, **HOT)

    left = gateway.around.limiter.peek_many(buckets)[0].remaining
    assert 100_000 - gateway.server.tokens == pytest.approx(left, abs=2)


def test_a_refused_call_gives_its_tokens_back(gateway):
    limit("tokens", 100_000, unit="tokens")
    buckets = policies.applying("gateway", Subject(tenant=str(gateway.tenant.pk), model="small"))
    gateway.server.plan(then=failing(400))

    with pytest.raises(ProviderRefused):
        gateway.ask(max_tokens=5_000, **HOT)

    assert gateway.around.limiter.peek_many(buckets)[0].remaining == 100_000


def test_a_limit_that_says_wait_is_waited_for(gateway):
    limit("calls", 10, period=2, burst=1, on_deny="wait")
    began = time.monotonic()

    for number in range(3):
        gateway.ask(f"Question {number}", **HOT)

    assert gateway.server.at[2] - began >= 0.38


def test_a_prompt_larger_than_a_limit_never_passes_and_neither_does_an_answer_asked_for(gateway):
    limit("tokens", 1_000, unit="tokens")

    for fields in ({"question": "word " * 3_000}, {"max_tokens": 2_000}):
        with pytest.raises(LimitReached, match="never passes") as caught:
            gateway.ask(**fields, **HOT)
        assert caught.value.retry_after is None

    assert gateway.server.calls == 0
    assert gateway.ask("Short", **HOT).text  # its default length is cut to what the limit has


def test_the_prices_of_a_prompt_and_of_an_answer_asked_for_are_not_cut_either(gateway):
    limit("cost", 100, unit="cost")  # millionths of a dollar

    with pytest.raises(LimitReached, match="never passes"):
        gateway.ask(max_tokens=1_000, **HOT)

    assert gateway.ask(**HOT).text


@pytest.mark.parametrize(("on_deny", "seconds"), [("reject", (0, 0.4)), ("wait", (0.4, 5))])
def test_a_limit_of_calls_at_a_time_is_waited_for_only_if_it_says_so(gateway, on_deny, seconds):
    limit("at-once", 1, unit="concurrency", on_deny=on_deny)
    buckets = policies.applying("gateway", Subject(tenant=str(gateway.tenant.pk), model="small"))
    Budget.objects.create(tenant=gateway.tenant, name="month", hard=10**9)
    catalogue.forget()
    began = time.monotonic()

    with gateway.around.limiter.slot(buckets), pytest.raises(LimitReached) as caught:
        gateway.ask(terms=Terms(seconds=0.5), **HOT)

    assert seconds[0] <= time.monotonic() - began <= seconds[1]
    assert caught.value.violated == ("at-once",)
    assert (gateway.server.calls, BudgetHold.objects.count()) == (0, 0)
    assert gateway.ask(**HOT).text


def test_a_call_that_waits_for_a_slot_counts_as_one_denial(gateway):
    counted = CountedLimiter(gateway.client, keys=Keys(gateway.prefix), budget_s=10)
    gateway.around = replace(gateway.around, limiter=counted)
    limit("at-once", 1, unit="concurrency", on_deny="wait")
    buckets = policies.applying("gateway", Subject(tenant=str(gateway.tenant.pk), model="small"))
    decided = []

    with pytest.MonkeyPatch.context() as patch, counted.slot(buckets):
        patch.setattr(counting, "count", lambda *told: decided.append(told[1].allowed))
        with pytest.raises(LimitReached):
            gateway.ask(terms=Terms(seconds=0.4), **HOT)
    counted.close()

    assert decided == [False]


def test_answers_name_the_budgets_at_their_soft_bound(gateway):
    Budget.objects.create(tenant=gateway.tenant, name="careful", soft=1)
    catalogue.forget()

    called, hit = gateway.ask("One"), gateway.ask("One")

    assert called.warnings == ("careful",)
    assert hit.warnings == ()  # it cost nothing


def test_an_exhausted_budget_refuses_before_the_call(gateway):
    Budget.objects.create(tenant=gateway.tenant, name="month", hard=1_000)

    with pytest.raises(BudgetExhausted) as caught:
        gateway.ask()

    assert caught.value.status == 429
    assert caught.value.code == "insufficient_quota"
    assert gateway.server.calls == 0
    assert BudgetHold.objects.count() == 0

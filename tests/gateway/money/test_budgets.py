from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta

import pytest

from gateway import budgets, catalogue, spending
from gateway.budgets import Payer
from gateway.errors import BudgetExhausted
from gateway.models import Budget, BudgetHold, BudgetPeriod
from gateway.spending import after, starts
from tests.databases import in_threads
from tests.gateway.money.conftest import CALL

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture
def payer(tenant):
    return Payer(tenant_id=tenant.pk, swarm="research", agent="reader", model="small")


def level(tenant, at=None):
    return spending.levels(tenant.pk, at)[0]


@pytest.mark.parametrize(
    ("period", "at", "start", "end"),
    [
        ("day", NOON, date(2026, 3, 31), date(2026, 4, 1)),
        ("month", NOON, date(2026, 3, 1), date(2026, 4, 1)),
        ("month", datetime(2026, 12, 31, 23, 59, tzinfo=UTC), date(2026, 12, 1), date(2027, 1, 1)),
        ("month", datetime(2028, 2, 29, tzinfo=UTC), date(2028, 2, 1), date(2028, 3, 1)),
    ],
)
def test_periods_are_days_and_months_of_utc(period, at, start, end):
    assert starts(period, at) == start
    assert after(period, start) == end


def test_what_is_reserved_is_held_and_settling_spends_what_it_cost(tenant, payer, budget, pay):
    budget(tenant, hard=3 * CALL)

    budgets.reserve(payer, "one", 2 * CALL)
    assert (level(tenant).spent, level(tenant).held) == (0, 2 * CALL)
    pay("one", swarm="research")

    assert (level(tenant).spent, level(tenant).held, level(tenant).state) == (CALL, 0, "ok")
    assert not BudgetHold.objects.exists()


def test_a_call_beyond_the_hard_bound_is_refused_and_holds_nothing(tenant, payer, budget):
    budget(tenant, "wide", hard=10 * CALL)
    budget(tenant, "narrow", hard=3 * CALL, period="day")
    budgets.reserve(payer, "one", 2 * CALL, NOON)

    with pytest.raises(BudgetExhausted, match=r"narrow has \$0.00021 left") as refused:
        budgets.reserve(payer, "two", 2 * CALL, NOON)

    assert refused.value.retry_after == 12 * 3600
    held = {each.budget.name: each.held for each in spending.levels(tenant.pk, NOON)}
    assert held == {"wide": 2 * CALL, "narrow": 2 * CALL}
    budgets.reserve(payer, "two", CALL, NOON)
    assert level(tenant, NOON).state == "exhausted"
    budgets.reserve(payer, "tomorrow", 3 * CALL, NOON + timedelta(days=1))


def test_reserving_again_replaces_and_cancelling_gives_back(tenant, payer, budget):
    budget(tenant, hard=3 * CALL)

    budgets.reserve(payer, "one", 2 * CALL)
    budgets.reserve(payer, "one", 3 * CALL)
    assert level(tenant).held == 3 * CALL
    with pytest.raises(BudgetExhausted):
        budgets.reserve(payer, "one", 4 * CALL)
    assert level(tenant).held == 3 * CALL  # a refusal changes nothing

    assert budgets.cancel(tenant.pk, "one") == 1
    assert budgets.cancel(tenant.pk, "one") == 0
    assert level(tenant).held == 0


def test_a_call_that_died_stays_held_until_it_is_released(tenant, payer, budget):
    budget(tenant, hard=CALL)
    budgets.reserve(payer, "dead", CALL, NOON)

    with pytest.raises(BudgetExhausted):
        budgets.reserve(payer, "next", CALL, NOON + timedelta(hours=5))
    assert budgets.release(tenant.pk, NOON) == 0
    assert budgets.release(tenant.pk, NOON + timedelta(hours=1)) == 1

    budgets.reserve(payer, "next", CALL, NOON + timedelta(hours=5))


def test_a_call_over_midnight_is_spent_on_the_day_it_ended(tenant, payer, budget, pay):
    budget(tenant, hard=9 * CALL, period="day")
    budgets.reserve(payer, "late", CALL, NOON)

    pay("late", at=NOON + timedelta(days=1))

    days = BudgetPeriod.objects.order_by("start").values_list("start", "spent", "held")
    assert list(days) == [(date(2026, 3, 31), 0, 0), (date(2026, 4, 1), CALL, 0)]


def test_budgets_count_what_they_are_about(tenant, other_tenant, budget, pay):
    for scope, subject in (("swarm", "research"), ("agent", "reader"), ("model", "large")):
        budget(tenant, scope, scope=scope, subject=subject, hard=10 * CALL)
    budget(tenant, "all", hard=10 * CALL)
    budget(other_tenant, hard=10 * CALL)

    pay(swarm="research", agent="writer")
    pay(swarm="qa", agent="reader", model="large")

    spent = {each.budget.name: each.spent for each in spending.levels(tenant.pk)}
    assert spent == {"swarm": CALL, "agent": CALL, "model": CALL, "all": 2 * CALL}
    assert level(other_tenant).spent == 0


def test_a_new_budget_counts_what_was_spent_before_it(tenant, payer, budget, pay):
    pay(swarm="research")
    pay(swarm="qa")
    budget(tenant, scope="swarm", subject="research", hard=2 * CALL)

    assert level(tenant).spent == CALL  # also before anything has opened the period
    with pytest.raises(BudgetExhausted):
        budgets.reserve(payer, "big", 2 * CALL)
    pay(swarm="research")
    assert level(tenant).spent == 2 * CALL


def test_a_changed_scope_is_counted_again(tenant, budget, pay):
    row = budget(tenant, scope="swarm", subject="research", hard=9 * CALL)
    pay(swarm="research")
    pay(swarm="qa")
    pay(swarm="qa")
    Budget.objects.filter(pk=row.pk).update(subject="qa")
    row.refresh_from_db()

    assert spending.recount(row) == 2 * CALL


def test_the_soft_bound_warns_once_in_the_log_and_with_every_call(tenant, budget, pay, caplog):
    budget(tenant, "careful", soft=2 * CALL)

    with caplog.at_level(logging.WARNING, "gateway.budgets"):
        told = [pay().warnings for _ in range(4)]

    assert told == [(), ("careful",), ("careful",), ("careful",)]
    assert len([1 for each in caplog.records if "careful" in each.getMessage()]) == 1
    assert level(tenant).state == "warning"


def test_without_a_hard_bound_nothing_is_reserved(tenant, payer, budget, django_assert_num_queries):
    budget(tenant, soft=1)
    catalogue.view()

    with django_assert_num_queries(0):
        budgets.reserve(payer, "one", 10**15)


def test_disabled_budgets_refuse_nothing(tenant, payer, budget):
    budget(tenant, hard=0, enabled=False)

    budgets.reserve(payer, "one", CALL)


def test_a_hit_costs_nothing_and_gives_back_what_was_held(tenant, payer, budget, pay):
    budget(tenant, hard=CALL)
    budgets.reserve(payer, "one", CALL)

    pay("one", hit=True)

    assert (level(tenant).spent, level(tenant).held) == (0, 0)


def test_a_second_attempt_of_a_written_call_leaves_nothing_held(tenant, payer, budget, pay):
    budget(tenant, hard=9 * CALL)
    pay("one")
    budgets.reserve(payer, "one", CALL)

    assert not pay("one").written

    assert (level(tenant).spent, level(tenant).held) == (CALL, 0)


def test_a_budget_deleted_a_moment_ago_refuses_nothing(tenant, payer, budget, pay):
    row = budget(tenant, hard=0)
    known = budget(tenant, "known", hard=9 * CALL)
    budgets.reserve(payer, "one", 0)
    Budget.objects.filter(pk__in=[row.pk, known.pk]).delete()  # the view still has both

    budgets.reserve(payer, "two", CALL)

    assert pay("two").written


def test_no_number_of_concurrent_calls_overruns_a_budget(tenant, budget, pay):
    budget(tenant, "month", hard=20 * CALL)
    budget(tenant, "swarm", scope="swarm", subject="research", hard=30 * CALL, period="day")
    payer = Payer(tenant_id=tenant.pk, swarm="research", model="small")

    def work(worker):
        def run():
            paid = 0
            for number in range(6):
                request_id = f"{worker}-{number}"
                try:
                    budgets.reserve(payer, request_id, CALL)
                except BudgetExhausted:
                    continue
                pay(request_id, swarm="research")
                paid += 1
            return paid

        return run

    paid = sum(in_threads(*[work(worker) for worker in range(8)]))

    assert paid == 20  # what is settled equals what was reserved, so all of it is used
    told = {each.budget.name: (each.spent, each.held) for each in spending.levels(tenant.pk)}
    assert told == {"month": (20 * CALL, 0), "swarm": (20 * CALL, 0)}

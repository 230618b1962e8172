from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import costs, ledger, rollups
from gateway.budgets import Payer
from gateway.models import LedgerEntry, Rollup
from gateway.pricing import Prices
from gateway.savings import Amounts, Usage, amounts
from tests.databases import in_threads
from tests.gateway.money.conftest import CALL, LARGE, SMALL

TOKENS = st.integers(0, 10**7)
PRICES = st.builds(
    Prices, st.integers(0, 10**12), st.integers(0, 10**12), st.none() | st.integers(0, 10**12)
)


def test_prices_are_exact_and_rounded_once():
    assert SMALL.cost(1_000, 100) == 210_000
    assert Prices(37_500_000, 0).cost(1, 0) == 38  # 37.5 nano-dollars
    assert Prices(37_500_000, 0).cost(1_000_000, 0) == 37_500_000
    assert Prices(100, 0, 10).cost(1_000_000, 0, 400_000) == 64
    assert Prices(100, 0, 10).cost(1_000_000, 0, 5_000_000) == 10
    assert Prices(100, 100).cost(-5, -5, -5) == 0


@given(TOKENS, TOKENS, TOKENS, TOKENS, PRICES, PRICES, st.booleans())
def test_cost_and_savings_add_up_to_the_baseline(inside, out, cached, removed, own, base, hit):
    found = amounts(Usage(inside, out, cached, removed), own, base, hit=hit)

    assert found.cost + found.saved == found.baseline
    assert found.baseline == base.cost(inside + removed, out, cached)
    assert (found.cost == 0) or not hit
    assert found.saved_cache == (own.cost(inside, out, cached) if hit else 0)


def test_a_call_is_written_once_whatever_comes_twice(tenant, pay):
    assert pay("one", swarm="research").written
    assert not pay("one", swarm="other").written

    row = LedgerEntry.objects.get()
    assert (row.request_id, row.swarm, row.cost) == ("one", "research", CALL)
    assert row.baseline == LARGE.cost(1_000, 100) == row.cost + row.saved_routing


def test_two_tenants_may_use_one_request_id(tenant, other_tenant, pay):
    assert pay("one").written
    assert pay("one", owner=other_tenant).written


def test_of_many_at_once_one_writes_the_call(tenant, pay, budget):
    budget(tenant, hard=10**12)
    told = in_threads(*[lambda: pay("one").written] * 8)

    assert sorted(told) == [False] * 7 + [True]
    assert LedgerEntry.objects.count() == 1
    assert tenant.pk == LedgerEntry.objects.get().tenant_id


def test_a_connection_that_has_died_costs_a_call_nothing(pay):
    pay("one")
    connection.connection.close()  # as by a restart of the server: Django does not know

    assert pay("two").written
    assert LedgerEntry.objects.count() == 2


def test_a_call_without_a_budget_is_one_statement(pay, django_assert_num_queries):
    pay("first", reserved=False)

    with django_assert_num_queries(1):
        pay("one", reserved=False)


def test_an_entry_that_a_constraint_refuses_is_told_and_not_taken_for_one_there(tenant):
    odd = ledger.Call(
        request_id="odd",
        payer=Payer(tenant_id=tenant.pk, model="small"),
        usage=Usage(1, 1),
        amounts=Amounts(5, 4, 0, 0, 0),
        reserved=False,
    )

    with pytest.raises(IntegrityError):
        ledger.record(odd)


def test_the_database_refuses_an_entry_that_does_not_add_up(tenant):
    with pytest.raises(IntegrityError), transaction.atomic():
        LedgerEntry.objects.create(tenant=tenant, request_id="x", model="m", cost=5, baseline=4)


def test_names_too_long_or_with_zero_bytes_are_kept_as_far_as_they_fit(pay):
    pay("r" * 300, swarm="a\x00b", definition="d" * 300)

    row = LedgerEntry.objects.get()
    assert (row.swarm, len(row.definition), len(row.request_id)) == ("ab", 100, 100)


DAY = datetime(2026, 3, 30, 12, tzinfo=UTC)


@pytest.fixture
def days(pay, other_tenant):
    """Four days over the end of a month: calls and hits of two models, swarms and tenants."""
    for later in range(4):
        at = DAY + timedelta(days=later)
        pay(at=at, swarm="research", definition="ask")
        pay(at=at, swarm="research", usage=Usage(500, 50, 100, 300), hit=True)
        pay(at=at, swarm="qa", model="large", prices=LARGE)
        pay(at=at, owner=other_tenant, swarm="research")


def sums(report):
    return {
        group.name: (group.calls, group.hits, group.cost, group.saved) for group in report.groups
    }


def test_reports_group_and_add_up(days, tenant, other_tenant):
    mine, everybody = costs.report(tenant, "swarm"), costs.report(None, "tenant")

    assert list(sums(mine)) == ["qa", "research"]  # the costliest first
    assert sums(mine)["research"][:3] == (8, 4, 4 * CALL)
    assert sums(everybody)["other"][:3] == (4, 0, 4 * CALL)
    assert mine.total.calls == 12
    assert mine.total.cost + mine.total.saved == mine.total.baseline
    assert costs.report(tenant, since=date(2026, 4, 1)).total.calls == 6
    assert costs.report(tenant, until=date(2026, 3, 31)).total.calls == 3
    with pytest.raises(ValueError, match="use one of tenant"):
        costs.report(tenant, "request_id")


@pytest.mark.parametrize("by", costs.GROUPS)
def test_roll_ups_tell_what_the_entries_tell(days, tenant, by):
    before = costs.report(None, by), costs.report(tenant, by, date(2026, 3, 31), date(2026, 4, 2))

    assert rollups.bring_up_to_date(DAY + timedelta(days=3)) == 3  # the fourth day goes on
    after = costs.report(None, by), costs.report(tenant, by, date(2026, 3, 31), date(2026, 4, 2))

    assert after == before
    assert rollups.rolled_until() == date(2026, 4, 2)


def test_roll_ups_are_made_again_the_same_and_outlive_the_entries(days, tenant):
    now = DAY + timedelta(days=30)
    assert rollups.bring_up_to_date(now) == 30  # also the days without entries
    assert rollups.bring_up_to_date(now) == 0
    written = list(Rollup.objects.order_by("pk").values_list("period", "start", "swarm", "cost"))
    told = costs.report(None, "definition")

    rollups.roll_up_day(date(2026, 3, 31))
    rollups.roll_up_month(date(2026, 3, 1))
    again = Rollup.objects.order_by("pk").values_list("period", "start", "swarm", "cost")
    march = Rollup.objects.filter(period="month", start=date(2026, 3, 1), tenant=tenant)

    assert sorted(again) == sorted(written)
    assert sum(row.calls for row in march) == 6
    assert rollups.prune(date(2026, 4, 1)) == 8
    assert costs.report(None, "definition") == told


def test_nothing_is_pruned_that_is_not_rolled_up(days):
    assert rollups.prune(date(2030, 1, 1)) == 0


def test_csv_holds_every_entry_and_no_formula(pay, tenant):
    pay("=1+1", swarm="@evil", definition='say "hi", twice')
    pay("two", agent="-5")

    text = "".join(costs.csv_of_entries(costs.entries_of(tenant, None, None)))
    rows = list(csv.DictReader(io.StringIO(text)))

    assert [row["request_id"] for row in rows] == ["'=1+1", "two"]
    assert (rows[0]["swarm"], rows[0]["definition"]) == ("'@evil", 'say "hi", twice')
    assert rows[1]["agent"] == "'-5"
    assert int(rows[0]["cost"]) == CALL
    assert int(rows[0]["saved_routing"]) == LARGE.cost(1_000, 100) - CALL


def test_csv_comes_in_parts(pay, tenant, monkeypatch):
    monkeypatch.setattr(costs, "_CHUNK", 2)
    for _ in range(5):
        pay()

    parts = list(costs.csv_of_entries(costs.entries_of(tenant, None, None)))

    assert [part.count("\n") for part in parts] == [3, 2, 1]


@given(st.lists(st.tuples(TOKENS, TOKENS), max_size=20), PRICES)
@settings(max_examples=25)
def test_the_sum_of_costs_is_within_half_a_nano_dollar_each_of_the_exact_one(calls, prices):
    paid = sum(prices.cost(*call) for call in calls)
    exact = sum(inside * prices.input + out * prices.output for inside, out in calls)

    assert abs(paid * 10**6 - exact) * 2 <= len(calls) * 10**6

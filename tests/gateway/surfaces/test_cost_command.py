from __future__ import annotations

import csv
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from ansf_platform.accounts.models import AuditEntry
from gateway import budgets, catalogue, spending
from gateway.budgets import Payer
from gateway.models import Budget, LedgerEntry, Rollup
from tests.gateway.surfaces.conftest import COST


@pytest.fixture
def calls(tenant, other_tenant, pay):
    pay(tenant, "one", swarm="research")
    pay(tenant, "two", swarm="qa", hit=True)
    pay(other_tenant, "three", swarm="=evil()")


def run(capsys, *words):
    call_command("cost", *words)
    return capsys.readouterr().out


def test_costs_are_reported_for_people_and_programs(capsys, calls):
    told = json.loads(run(capsys, "report", "--by", "swarm", "--tenant", "default", "--json"))

    assert told["total"]["calls"] == 2
    assert told["total"]["cost"] == COST
    assert told["total"]["saved_cache"] == COST
    assert "priciest" in told["baseline"]
    text = run(capsys, "report", "--by", "tenant", "--since", "1d")
    assert [line.split()[:3] for line in text.splitlines()[1:]] == [
        ["default", "2", "1"], ["other", "1", "0"], ["total", "3", "1"],
    ]  # fmt: skip
    assert "$0.00042" in text


def test_csv_of_groups_and_of_entries_holds_no_formula(capsys, calls):
    groups = list(csv.DictReader(run(capsys, "report", "--by", "swarm", "--csv").splitlines()))
    entries = list(csv.DictReader(run(capsys, "entries").splitlines()))

    assert sorted(row["swarm"] for row in groups) == ["'=evil()", "qa", "research"]
    assert [row["request_id"] for row in entries] == ["one", "two", "three"]
    assert entries[2]["swarm"] == "'=evil()"


@pytest.mark.parametrize(
    "words",
    [
        ("report", "--by", "colour"),
        ("report", "--tenant", "nobody"),
        ("report", "--since", "yesterday"),
        ("entries", "--json"),
        ("prune", "--before", "2026-01-01"),
        ("release", "--hours", "-1"),
    ],
)
def test_wrong_words_are_refused_in_one_line(capsys, calls, words):
    with pytest.raises(CommandError) as refused:
        run(capsys, *words)

    assert refused.value.returncode in {1, 2}
    assert "\n" not in str(refused.value)
    assert LedgerEntry.objects.count() == 3


def test_budgets_are_listed_and_an_exhausted_one_exits_3(capsys, tenant, calls):
    row = Budget.objects.create(tenant=tenant, name="month", hard=10 * COST, soft=COST)
    catalogue.forget()
    told = json.loads(run(capsys, "budgets", "--json"))
    assert [(each["spent"], each["state"]) for each in told["budgets"]] == [(COST, "warning")]

    Budget.objects.filter(pk=row.pk).update(hard=COST)
    with pytest.raises(SystemExit) as ended:
        run(capsys, "budgets")

    assert ended.value.code == 3


def test_entries_are_rolled_up_and_pruned_without_a_change_of_the_report(capsys, calls):
    LedgerEntry.objects.update(at=timezone.now() - timedelta(days=40))
    before = run(capsys, "report", "--json")

    assert json.loads(run(capsys, "rollup", "--json"))["days"] > 0
    assert json.loads(run(capsys, "prune", "--before", "7d", "--yes", "--json")) == {"entries": 3}

    assert run(capsys, "report", "--json") == before
    assert Rollup.objects.filter(period="month").count() == 3
    assert AuditEntry.objects.get(action="ledger.prune").detail == {"entries": 3}


def test_what_died_is_released(capsys, tenant):
    Budget.objects.create(tenant=tenant, name="month", hard=10)
    catalogue.forget()
    budgets.reserve(Payer(tenant_id=tenant.pk), "dead", 10, timezone.now() - timedelta(hours=2))

    assert json.loads(run(capsys, "release", "--json")) == {"holds": 0}
    assert json.loads(run(capsys, "release", "--hours", "1", "--json")) == {"holds": 1}
    assert spending.levels(tenant.pk)[0].held == 0

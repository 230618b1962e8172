from __future__ import annotations

import csv

import pytest

from ansf_platform.accounts.models import AuditEntry
from gateway import budgets, catalogue, routes
from gateway.budgets import Payer
from gateway.models import Budget, GatewayPolicy, LanguageModel, Provider, RouteRecord
from gateway.router import Needs, route
from tests.api.conftest import problem_of
from tests.gateway.surfaces.conftest import COST

OPENAI = {"name": "openai", "base_url": "https://api.example/v1", "key_env": "OPENAI_API_KEY"}
SMALL = {"name": "small", "provider": "openai", "upstream": "gpt-small", "input_price": 150_000_000}
PLATFORM_ONLY = [
    ("providers", OPENAI),
    ("models", SMALL),
    ("policies", {"name": "wide", "platform": True}),
    ("policies", {"name": "open", "visibility": "global"}),
    ("budgets", {"name": "cap", "hard": 1, "imposed": True}),
]


def test_a_superuser_defines_a_provider_and_a_model(boss):
    provider = boss.post("gateway/providers", OPENAI)
    model = boss.post("gateway/models", SMALL)

    assert (provider.status_code, model.status_code) == (201, 201), model.content
    assert model.json()["provider"] == "openai"
    assert model.json()["cached_price"] is None
    assert boss.get(model["Location"].removeprefix("/api/v1/")).json() == model.json()
    assert catalogue.view().model(1, "small").prices.input == 150_000_000
    actions = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
    assert actions[-2:] == ["gateway.provider.create", "gateway.model.create"]


def test_what_is_the_platforms_is_written_by_superusers_only(api, models):
    for path, columns in PLATFORM_ONLY:
        told = problem_of(api.post(f"gateway/{path}", columns), 403)

        assert told["detail"].endswith("only superusers may do that")


def test_a_tenant_sees_the_platforms_rows_and_may_not_change_them(api, models):
    for path in ("providers", "models", "policies"):
        rows = api.get(f"gateway/{path}").json()["items"]
        assert rows
        told = api.patch(f"gateway/{path}/{rows[0]['id']}", {"enabled": False})
        assert told.status_code == 403
        assert api.delete(f"gateway/{path}/{rows[0]['id']}").status_code == 403


def test_a_policy_is_opened_to_every_tenant_by_superusers_only(api, tenant):
    made = api.post("gateway/policies", {"name": "mine"}).json()
    path = f"gateway/policies/{made['id']}"

    assert api.patch(path, {"visibility": "global"}).status_code == 403
    assert api.patch(path, {"visibility": "user"}).json()["visibility"] == "user"


def test_a_tenant_writes_its_own_policies_and_budgets(api, stranger, tenant):
    policy = api.post("gateway/policies", {"name": "default", "quality_floor": 0.9})
    budget = api.post("gateway/budgets", {"name": "month", "hard": 10**9, "soft": 10**8})

    assert (policy.status_code, budget.status_code) == (201, 201), budget.content
    assert budget.json()["level"] | {"start": 0, "end": 0} == {
        "start": 0, "end": 0, "spent": 0, "held": 0, "state": "ok",
    }  # fmt: skip
    assert catalogue.view().policy(tenant.pk).quality_floor == 0.9
    for path, row in (("policies", policy), ("budgets", budget)):
        problem_of(stranger.get(f"gateway/{path}/{row.json()['id']}"), 404)
        problem_of(stranger.patch(f"gateway/{path}/{row.json()['id']}", {}), 404)
        names = [each["id"] for each in stranger.get(f"gateway/{path}").json()["items"]]
        assert row.json()["id"] not in names


def test_changes_want_the_current_etag_and_are_audited(api, tenant):
    made = api.post("gateway/budgets", {"name": "month", "hard": 10})
    path = f"gateway/budgets/{made.json()['id']}"

    changed = api.patch(path, {"hard": 20}, **{"If-Match": made["ETag"]})
    stale = api.patch(path, {"hard": 30}, **{"If-Match": made["ETag"]})
    again = api.patch(path, {"hard": 20})

    assert changed.json()["hard"] == 20
    assert changed["ETag"] == again["ETag"] != made["ETag"]
    problem_of(stale, 412)
    entry = AuditEntry.objects.get(action="gateway.budget.update")
    assert entry.detail["changes"] == {"hard": [10, 20]}
    assert entry.tenant == tenant
    assert api.delete(path).status_code == 204
    assert not Budget.objects.exists()


BAD = [
    ("providers", OPENAI | {"base_url": "ftp://x/v1"}, "base_url"),
    ("providers", OPENAI | {"base_url": "https://user:pw@host/v1"}, "base_url"),
    ("providers", OPENAI | {"base_url": "https://host/v1?key=1"}, "base_url"),
    ("providers", OPENAI | {"key_env": "SECRET_KEY"}, "key_env"),
    ("providers", OPENAI | {"key_env": "ANSF_PATTERN_TOKEN"}, "key_env"),
    ("providers", OPENAI | {"key_env": "sk-abcdef"}, "key_env"),
    ("providers", OPENAI | {"kind": "extractive"}, "base_url"),
    ("providers", OPENAI | {"timeout_seconds": 0}, "timeout_seconds"),
    ("models", SMALL | {"provider": "nobody"}, "provider"),
    ("models", SMALL | {"quality": 1.5}, "quality"),
    ("models", SMALL | {"input_price": 1.5}, "input_price"),
    ("models", SMALL | {"input_price": -1}, "input_price"),
    ("models", SMALL | {"max_output": 10, "context_window": 5}, "max_output"),
    ("models", SMALL | {"name": "a\nb"}, "name"),
    ("policies", {"name": "p", "strictness": "loose"}, "strictness"),
    ("policies", {"name": "p", "simple_budget": 10**9}, "complex_budget"),
    ("policies", {"name": "p", "allowed_models": "gpt"}, "allowed_models"),
    ("policies", {"name": "p", "epsilon": -0.1}, "epsilon"),
    ("budgets", {"name": "b"}, "hard"),
    ("budgets", {"name": "b", "hard": 1, "soft": 2}, "soft"),
    ("budgets", {"name": "b", "hard": 1, "scope": "swarm"}, "subject"),
    ("budgets", {"name": "b", "hard": 1, "subject": "x"}, "subject"),
    ("budgets", {"name": "b", "hard": 10**30}, "hard"),
]


def test_a_bad_row_is_refused_with_its_field(boss, db):
    Provider.objects.create(name="openai", base_url="https://api.example/v1")
    for path, columns, field in BAD:
        told = problem_of(boss.post(f"gateway/{path}", columns), 422)

        assert [each["field"] for each in told["errors"]] == [f"/{field}"], columns


def test_names_are_unique_for_a_tenant_and_for_the_platform(boss, api, models):
    problem_of(boss.post("gateway/providers", OPENAI), 409)
    problem_of(boss.post("gateway/models", SMALL), 409)
    problem_of(boss.post("gateway/policies", {"name": "default", "platform": True}), 409)
    assert boss.post("gateway/models", SMALL | {"tenant": "default"}).status_code == 201
    assert api.post("gateway/policies", {"name": "default"}).status_code == 201


def test_a_provider_with_models_is_not_deleted(boss, models):
    told = boss.delete(f"gateway/providers/{models['small'].provider_id}")

    assert "models use it: large, small" in problem_of(told, 409)["detail"]


def test_a_model_of_one_tenant_is_unknown_to_others(boss, api, stranger, models):
    made = boss.post("gateway/models", SMALL | {"name": "tuned", "tenant": "default"}).json()

    assert made["tenant"] == "default"
    assert api.get(f"gateway/models/{made['id']}").status_code == 200
    problem_of(stranger.get(f"gateway/models/{made['id']}"), 404)


def test_reading_and_writing_want_their_scopes(caller, tenant):
    reader, nobody = caller(tenant, "gateway:read"), caller(tenant, "tasks:read")

    assert reader.get("gateway/budgets").status_code == 200
    problem_of(reader.post("gateway/budgets", {"name": "b", "hard": 1}), 403)
    for path in ("providers", "models", "policies", "budgets", "ledger", "costs", "routes"):
        problem_of(nobody.get(f"gateway/{path}"), 403)


def test_the_ledger_is_listed_filtered_and_kept_apart(api, stranger, tenant, other_tenant, pay):
    pay(tenant, "one", swarm="research")
    pay(tenant, "two", swarm="qa", hit=True)
    pay(other_tenant, "theirs", swarm="qa")

    rows = api.get("gateway/ledger").json()["items"]

    assert [row["request_id"] for row in rows] == ["two", "one"]
    assert (rows[1]["cost"], rows[0]["cost"], rows[0]["saved_cache"]) == (COST, 0, COST)
    found = api.get("gateway/ledger?hit_level=exact&swarm=qa").json()["items"]
    assert [row["request_id"] for row in found] == ["two"]
    assert api.get("gateway/ledger?since=2999-01-01").json()["items"] == []
    assert [row["swarm"] for row in stranger.get("gateway/ledger").json()["items"]] == ["qa"]
    problem_of(api.get("gateway/ledger?since=2030-02-31"), 400)
    problem_of(api.get("gateway/ledger?since=2030-02-01&until=2030-01-01"), 400)


def test_the_ledger_is_exported_as_csv(api, tenant, other_tenant, pay):
    pay(tenant, "=cmd", swarm="research")
    pay(other_tenant, "theirs")

    told = api.get("gateway/ledger.csv", Accept="text/csv")

    assert told["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(b"".join(told.streaming_content).decode().splitlines()))
    assert [(row["request_id"], row["cost"]) for row in rows] == [("'=cmd", str(COST))]


def test_costs_tell_savings_against_a_stated_baseline(api, tenant, pay):
    pay(tenant, "one", swarm="research")
    pay(tenant, "two", swarm="research", hit=True)

    told = api.get("gateway/costs?by=swarm").json()

    assert told["groups"][0]["name"] == "research"
    assert told["total"]["cost"] == COST
    assert told["total"]["cost"] + told["total"]["saved"] == told["total"]["baseline"]
    assert "priciest model allowed" in told["baseline"]
    problem_of(api.get("gateway/costs?by=colour"), 400)


def test_decisions_are_told_with_their_reasons(api, stranger, tenant, models):
    view = catalogue.view()
    needs = Needs(tokens_in=100, max_output=50)
    rules = catalogue.rules_of(view.policy(tenant.pk), "simple")
    decision = route(map(catalogue.candidate, view.models_of(tenant.pk)), needs, rules)
    routes.keep(tenant.pk, "one", decision, policy="default")
    routes.WAITING.write()
    row = RouteRecord.objects.get(request_id="one")

    listed = api.get("gateway/routes?request_id=one").json()["items"]
    told = api.get(f"gateway/routes/{row.pk}").json()

    assert listed == [told]
    assert told["model"] == "small"
    refused = {each["model"]: each["refused"] for each in told["detail"]["options"]}
    assert refused == {"small": "", "large": "", "extractive": "below the quality floor"}
    problem_of(stranger.get(f"gateway/routes/{row.pk}"), 404)


def test_only_the_latest_decisions_are_kept(tenant, models, monkeypatch):
    view = catalogue.view()
    rules = catalogue.rules_of(view.policy(tenant.pk), "simple")
    needs = Needs(tokens_in=1, max_output=1)
    decision = route(map(catalogue.candidate, view.models_of(tenant.pk)), needs, rules)
    monkeypatch.setattr("gateway.routes.MOST_KEPT", 3)
    monkeypatch.setattr("gateway.routes._PRUNED_EVERY", 1)

    for number in range(6):
        routes.keep(tenant.pk, f"request {number}", decision)
        routes.WAITING.write()

    kept = RouteRecord.objects.order_by("pk").values_list("request_id", flat=True)
    assert list(kept) == [f"request {number}" for number in range(3, 6)]


def test_a_change_is_in_force_at_once_in_this_process(boss, api, models, tenant):
    payer = Payer(tenant_id=tenant.pk)
    made = api.post("gateway/budgets", {"name": "stop", "hard": 0}).json()
    with pytest.raises(Exception, match="budget stop has"):
        budgets.reserve(payer, "one", 1)

    api.patch(f"gateway/budgets/{made['id']}", {"enabled": False})
    boss.patch(f"gateway/models/{models['small'].pk}", {"enabled": False})

    budgets.reserve(payer, "one", 1)
    assert [row.name for row in catalogue.view().models_of(tenant.pk)] == ["extractive", "large"]


def test_a_budget_that_was_off_counts_what_was_spent_meanwhile(api, tenant, pay):
    made = api.post("gateway/budgets", {"name": "month", "hard": 10**9}).json()
    path = f"gateway/budgets/{made['id']}"
    pay(tenant, "one")
    api.patch(path, {"enabled": False})
    pay(tenant, "two")

    assert api.patch(path, {"enabled": True}).json()["level"]["spent"] == 2 * COST


def test_every_installation_begins_with_a_local_model_and_a_policy(db):
    assert LanguageModel.objects.get().name == "extractive"
    assert Provider.objects.get().kind == "extractive"
    policy = GatewayPolicy.objects.get()
    classes = [policy.call_budget(name) for name in ("simple", "complex", "critical")]
    assert classes == [1_000_000, 10_000_000, 50_000_000]

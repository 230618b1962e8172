"""Policies over REST: whose they are, revisions, levels, questions, resets, metrics."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ratelimit import counting, policies, pool
from ratelimit.decision import Grant
from ratelimit.spec import PolicySpec
from ratelimit.subject import Subject

REPORTS = {"name": "reports", "limit": 36, "period_seconds": 3600, "burst": 10}


@pytest.fixture
def reports(api):
    return api.post("limits", REPORTS).json()


def spend(tenant, cost, name="reports"):
    buckets = policies.buckets_for([name], Subject(tenant=str(tenant.pk)))
    decision = pool.limiter().acquire(buckets, cost)
    counting.TALLY.flush()
    return decision


def test_a_policy_is_created_shown_listed_and_changed(api):
    made = api.post("limits", REPORTS)
    assert made.status_code == 201
    shown = api.get(made["Location"].removeprefix("/api/v1/"))

    assert shown.json() == made.json()
    assert shown.json() | REPORTS == shown.json()
    assert shown["ETag"] == made["ETag"]
    names = [row["name"] for row in api.get("limits").json()["items"]]
    assert {"reports", "api-token", "login-user"} <= set(names)

    changed = api.patch(f"limits/{made.json()['id']}", {"burst": None}, If_Match=made["ETag"])
    assert changed.json()["burst"] is None
    assert changed.json()["limit"] == 36
    late = api.patch(f"limits/{made.json()['id']}", {"limit": 3}, If_Match=made["ETag"])
    assert late.status_code == 412


def test_a_name_can_be_taken_once(api, reports):
    told = api.post("limits", REPORTS)

    assert told.status_code == 409
    assert "reports" in told.json()["detail"]


def test_another_tenants_policy_is_not_there(stranger, reports):
    address = f"limits/{reports['id']}"

    assert stranger.get(address).status_code == 404
    assert stranger.patch(address, {"limit": 1}).status_code == 404
    assert stranger.get(f"{address}/state").status_code == 404
    assert stranger.post(f"{address}/test", {}).status_code == 404


def test_the_platforms_policies_are_changed_by_superusers_only(api, boss):
    row = next(row for row in api.get("limits").json()["items"] if row["name"] == "api-token")
    address = f"limits/{row['id']}"

    assert api.patch(address, {"limit": 1}).status_code == 403
    assert api.delete(address).status_code == 403
    assert api.post("limits", REPORTS | {"platform": True}).status_code == 403
    assert boss.patch(address, {"limit": 11_000}).json()["limit"] == 11_000


def test_reading_and_changing_need_their_scopes(tenant, caller, reports):
    nobody, reader = caller(tenant, "tasks:read"), caller(tenant, "limits:read")

    assert nobody.get("limits").status_code == 403
    assert reader.get("limits").status_code == 200
    assert reader.post("limits", REPORTS | {"name": "more"}).status_code == 403
    assert reader.post(f"limits/{reports['id']}/reset", {}).status_code == 403


def test_the_state_tells_levels_rates_and_the_last_denial(server, api, tenant, reports):
    assert spend(tenant, 7).allowed
    assert not spend(tenant, 7).allowed

    told = api.get(f"limits/{reports['id']}/state").json()

    assert told["known"]
    assert told["totals"] | {"allowed": 7, "denied": 7} == told["totals"]
    assert len(told["allowed"]) == 60
    key = told["keys"][0]
    assert (key["key"], key["remaining"], key["burst"]) == (f"tenant:{tenant.pk}", 3, 10)
    assert told["last_denial"]["key"] == f"tenant:{tenant.pk}"
    assert 390 < told["last_denial"]["retry_after"] <= 400


def test_what_if_charges_nothing_and_tells_when_it_would_pass(server, api, tenant, reports):
    spend(tenant, 7)
    ask = f"limits/{reports['id']}/test"

    fits, short, never = (api.post(ask, {"cost": cost}).json() for cost in (3, 5, 11))
    many = api.post(ask, {"cost": 1, "times": 5}).json()

    assert (fits["allowed"], fits["passes"], fits["remaining"], fits["left"]) == (True, 1, 3, 0)
    assert (short["allowed"], round(short["retry_after"])) == (False, 200)
    assert (never["never"], never["retry_after"]) == (True, None)
    assert (many["passes"], round(many["last_after"])) == (3, 200)
    assert api.post(ask, {"cost": -1}).status_code == 422


def test_what_if_is_right_about_what_happens(server, api, tenant, reports):
    spend(tenant, 6)
    promised = api.post(f"limits/{reports['id']}/test", {"cost": 1, "times": 9}).json()["passes"]

    passed = [spend(tenant, 1).allowed for _ in range(9)]

    assert passed == [True] * promised + [False] * (9 - promised)


def test_a_question_about_a_missing_subject_names_the_field(api, boss):
    row = api.post("limits", REPORTS | {"name": "by-model", "scope": "model"}).json()

    told = api.post(f"limits/{row['id']}/test", {})

    assert told.status_code == 422
    assert told.json()["errors"][0]["field"] == "/model"


def test_of_a_platform_policy_one_asks_about_oneself_only(server, api, boss):
    row = next(row for row in api.get("limits").json()["items"] if row["name"] == "api-token")
    ask = f"limits/{row['id']}/test"

    assert api.post(ask, {"token": "987654"}).status_code == 403
    assert api.post(ask, {"tenant": "987654", "token": "1"}).status_code == 403
    assert boss.post(ask, {"token": "987654"}).json()["remaining"] == 2000


def test_a_reset_fills_the_bucket_and_is_audited(server, api, tenant, reports):
    spend(tenant, 10)

    told = api.post(f"limits/{reports['id']}/reset", {})

    assert told.status_code == 200
    assert api.post(f"limits/{reports['id']}/test", {}).json()["remaining"] == 10


def test_a_changed_limit_keeps_what_was_used(server, api, tenant, reports):
    spend(tenant, 7)

    api.patch(f"limits/{reports['id']}", {"limit": 360})

    assert api.post(f"limits/{reports['id']}/test", {}).json()["remaining"] == 3


def test_without_redis_state_and_question_say_so(nowhere, api, tenant, reports):
    state = api.get(f"limits/{reports['id']}/state").json()
    told = api.post(f"limits/{reports['id']}/test", {}).json()

    assert not state["known"]
    assert told["degraded"]
    assert api.post(f"limits/{reports['id']}/reset", {}).status_code == 503


# --- metrics --------------------------------------------------------------------------------
def metrics(caller):
    told = caller.client.get("/metrics", headers=caller.headers)
    assert told.status_code == 200, told.content
    families = text_string_to_metric_families(told.content.decode())
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_metrics_are_the_sums_of_all_processes(server, api, tenant, reports):
    spend(tenant, 7)
    spend(tenant, 7)
    other_process = counting.Tally()
    buckets = policies.buckets_for(["reports"], Subject(tenant=str(tenant.pk)))
    other_process.count_grant(buckets[0], Grant(2, None))
    other_process.flush()

    told = metrics(api)

    labels = [("policy", "reports"), ("tenant", "default"), ("unit", "requests")]
    units = {
        outcome: told["ansf_limit_units_total", ("outcome", outcome), *labels]
        for outcome in ("allowed", "denied")
    }
    assert units == {"allowed": 9, "denied": 7}
    assert told["ansf_limit_remaining_least", *labels] == 3
    assert told["ansf_limit_rate", *labels] == 0.01


def test_metrics_show_no_other_tenants_policies(server, stranger, boss, reports):
    def names(found):
        return {dict(key[1:]).get("policy") for key in found}

    assert "reports" not in names(metrics(stranger))
    assert "reports" in names(metrics(boss))


def test_metrics_need_a_token_with_the_scope(server, tenant, caller, client):
    assert client.get("/metrics").status_code == 401
    nobody = caller(tenant, "tasks:read")
    assert nobody.client.get("/metrics", headers=nobody.headers).status_code == 403


def test_metrics_answer_while_redis_is_away(nowhere, api):
    assert metrics(api)[("ansf_limit_counts_known",)] == 0


def test_counts_of_a_process_arrive_after_redis_was_away(server, api, tenant, reports, settings):
    there = settings.REDIS_URL
    spend(tenant, 1)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    spend(tenant, 2)
    settings.REDIS_URL = there

    assert counting.TALLY.flush()

    assert server.hget(counting.TOTALS, f"{tenant.pk}:reports|allowed") == "3"


def test_a_flood_of_keys_is_counted_in_bounded_space(server, tenant):
    tally = counting.Tally()
    for number in range(5 * counting.MOST_KEYS):
        bucket = policies.activate(1, None, _spec()).bucket(f"address:{number}")
        tally.count([bucket], pool.limiter().peek([bucket]))
    assert len(tally._sums[":flood"].keys) == counting.MOST_KEYS


def _spec():
    return PolicySpec(name="flood", limit=10)

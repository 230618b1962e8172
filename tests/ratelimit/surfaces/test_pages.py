"""The pages of limits, as text: whose they are, what they show, what the form answers."""

from __future__ import annotations

import pytest

from ansf_platform.accounts.models import Membership
from ratelimit import counting, policies, pool
from ratelimit.subject import Subject


@pytest.fixture
def viewer(tenant, client, django_user_model):
    """A member of the default tenant, signed in."""
    user = django_user_model.objects.create(username="vera")
    Membership.objects.create(user=user, tenant=tenant, role=Membership.Role.VIEWER)
    client.force_login(user)
    return client


@pytest.fixture
def reports(limit, tenant):
    return limit("reports", 36, tenant=tenant, period_seconds=3600, burst=10, scope="model")


def spend(tenant, cost, model="small"):
    buckets = policies.buckets_for(["reports"], Subject(tenant=str(tenant.pk), model=model))
    pool.limiter().acquire(buckets, cost)
    counting.TALLY.flush()


def page(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, answer.content
    assert answer["Cache-Control"] == "no-store, private"
    return " ".join(answer.content.decode().split())


def test_the_list_shows_each_policy_and_its_tightest_key(server, viewer, tenant, reports):
    spend(tenant, 8)

    told = page(viewer, "/limits/")

    assert "reports" in told
    assert "api-token" in told
    assert "36 requests in 1 h" in told
    assert "2 of 10 left" in told


def test_a_policys_page_shows_levels_history_and_the_last_denial(server, viewer, tenant, reports):
    spend(tenant, 8)
    spend(tenant, 8)

    told = page(viewer, f"/limits/{reports.pk}/")

    assert "model:small" in told
    assert "2 of 10 left" in told
    assert "8 units allowed, 8 denied" in told
    assert "told to wait 10 min" in told


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("cost=1&times=5", "2 of 5 would pass now"),
        ("cost=5", "the first would pass in 5 min"),
        ("cost=11", "Never"),
        ("cost=-1", "must be a whole number"),
        ("cost=0", "cost is 1 to"),
        ("cost=1&times=9999999", "times 1 to"),
    ],
)
@pytest.mark.parametrize("place", ["answer", ""])
def test_the_form_is_answered_with_and_without_a_script(
    server, viewer, tenant, reports, asked, told, place
):
    spend(tenant, 8)

    shown = page(viewer, f"/limits/{reports.pk}/{place}?model=small&{asked}")

    assert told in shown


def test_a_form_without_its_subject_names_what_is_missing(server, viewer, reports):
    assert "model is needed" in page(viewer, f"/limits/{reports.pk}/answer?cost=1")


def test_single_callers_of_the_platform_are_shown_to_superusers_only(
    server, viewer, boss, api, limit
):
    row = limit("callers", 10, scope="token", applies_to="api")
    api.get("swarms")
    counting.TALLY.flush()

    assert "token:" not in page(viewer, f"/limits/{row.pk}/")
    assert "only superusers" in page(viewer, f"/limits/{row.pk}/answer?token=1&cost=1")
    assert "token:" in page(boss.client, f"/limits/{row.pk}/")


def test_another_tenants_policy_has_no_page(
    server, client, django_user_model, other_tenant, reports
):
    user = django_user_model.objects.create(username="otto")
    Membership.objects.create(user=user, tenant=other_tenant, role=Membership.Role.ADMIN)
    client.force_login(user)

    for address in ("", "board", "answer?cost=1&model=small"):
        assert client.get(f"/limits/{reports.pk}/{address}").status_code == 404
    assert "reports" not in page(client, "/limits/")


def test_without_redis_the_pages_say_what_happens_then(nowhere, viewer, reports):
    assert "Redis does not answer" in page(viewer, "/limits/")
    assert "each process decides on its share" in page(viewer, f"/limits/{reports.pk}/")


def test_what_a_caller_is_called_cannot_change_the_page(server, viewer, tenant, reports):
    spend(tenant, 1, model='<img src=x onerror="alert(1)">')

    assert "<img src=x" not in page(viewer, f"/limits/{reports.pk}/")


def test_pages_need_a_session(client, db):
    assert client.get("/limits/").status_code == 302
    assert client.get("/limits/board").status_code == 401

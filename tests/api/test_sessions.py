"""People in a browser: their tenant, their role's scopes, and CSRF."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from ansf_platform.accounts.models import AuditEntry, Membership, Tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def person(tenant, other_tenant):
    """Operator of the default tenant, viewer of the other one."""
    user = User.objects.create_user("ada", password="x" * 12)
    Membership.objects.create(user=user, tenant=tenant, role="operator")
    Membership.objects.create(user=user, tenant=other_tenant, role="viewer")
    return user


@pytest.fixture
def browser(person):
    client = Client(enforce_csrf_checks=True)
    client.force_login(person)
    return client


def change(client, path, token="", **headers):
    return client.post(
        f"/api/v1/{path}",
        "{}",
        content_type="application/json",
        headers={"X-CSRFToken": token, **headers},
    )


def token_of(client):
    client.get("/admin/login/")
    return client.cookies["csrftoken"].value


def test_a_session_reads_in_the_oldest_membership(browser, submitted):
    task_id = submitted()

    assert browser.get(f"/api/v1/tasks/{task_id}").status_code == 200


def test_a_header_chooses_another_of_ones_tenants(browser, submitted, problem):
    task_id = submitted()

    problem(browser.get(f"/api/v1/tasks/{task_id}", headers={"X-Tenant": "other"}), 404)


@pytest.mark.parametrize("slug", ["third", "nowhere", "\xfc"])
def test_a_tenant_one_is_no_member_of_is_403_whether_or_not_it_exists(browser, slug, problem):
    Tenant.objects.create(slug="third", name="Third")

    problem(browser.get("/api/v1/tasks", headers={"X-Tenant": slug}), 403)


def test_a_change_without_csrf_is_403(browser, submitted, problem):
    told = problem(change(browser, f"tasks/{submitted()}/cancel"), 403)

    assert "CSRF" in told["detail"]


def test_a_change_with_csrf_is_done_and_audited_as_the_person(browser, person, submitted):
    task_id = submitted()
    browser.get("/api/v1/tasks")
    response = change(browser, f"tasks/{task_id}/cancel", token_of(browser))

    assert response.status_code == 200
    assert AuditEntry.objects.order_by("-id")[0].actor == f"user:{person.pk}"


def test_a_role_gives_its_scopes_and_no_more(browser, submitted, problem):
    task_id, token = submitted(), token_of(browser)

    problem(change(browser, "swarms/research/pause", token), 403)
    problem(change(browser, f"tasks/{task_id}/cancel", token, **{"X-Tenant": "other"}), 403)


def test_without_a_membership_it_is_403(db, problem):
    client = Client()
    client.force_login(User.objects.create_user("eve", password="x" * 12))

    problem(client.get("/api/v1/tasks"), 403)


def test_a_superuser_acts_in_the_default_tenant_or_any_other(
    tenant, other_tenant, submitted, problem
):
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="x" * 12))
    task_id = submitted()

    assert client.get(f"/api/v1/tasks/{task_id}").status_code == 200
    problem(client.get(f"/api/v1/tasks/{task_id}", headers={"X-Tenant": "other"}), 404)
    problem(client.get("/api/v1/tasks", headers={"X-Tenant": "nowhere"}), 403)


def test_an_inactive_person_is_nobody(person, browser, problem):
    person.is_active = False
    person.save()

    problem(browser.get("/api/v1/tasks"), 401)

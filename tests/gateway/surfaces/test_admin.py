"""The gateway in the admin: whose rows one sees, what one may write, and mistakes beside fields."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from ansf_platform.accounts.models import AuditEntry, Membership
from gateway.models import Budget, GatewayPolicy, LanguageModel, LedgerEntry, Provider

PAGES = ("provider", "languagemodel", "gatewaypolicy", "budget", "ledgerentry", "rollup",
         "routerecord")  # fmt: skip


@pytest.fixture
def admin_of(tenant):
    """An admin of the default tenant with every Django permission; their client."""
    user = User.objects.create_user("ada", is_staff=True)
    user.user_permissions.set(Permission.objects.all())
    Membership.objects.create(user=user, tenant=tenant, role=Membership.Role.ADMIN)
    client = Client()
    client.force_login(user)
    return client


def form_of(client, path):
    """What the page of a row would send when nothing is changed."""
    form = client.get(path).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    shown = {name: "on" if value is True else value for name, value in values.items()}
    return {
        name: value for name, value in shown.items() if value is not None and value is not False
    }


def test_every_list_is_shown(boss, models, tenant, pay):
    pay(tenant, "one")
    Budget.objects.create(tenant=tenant, name="month", hard=10**9)

    told = {page: boss.client.get(f"/admin/gateway/{page}/").status_code for page in PAGES}

    assert told == dict.fromkeys(PAGES, 200)


def test_a_provider_and_a_model_are_made_and_changed_by_a_superuser(boss, db):
    add = "/admin/gateway/provider/add/"
    made = boss.client.post(
        add, form_of(boss.client, add) | {"name": "p", "base_url": "http://127.0.0.1:9/v1"}
    )
    assert made.status_code == 302
    row = Provider.objects.get(name="p")
    path = f"/admin/gateway/provider/{row.pk}/change/"
    boss.client.post(path, form_of(boss.client, path) | {"slots": 3})
    add = "/admin/gateway/languagemodel/add/"
    told = form_of(boss.client, add) | {"name": "m", "provider": row.pk, "upstream": "m"}
    assert boss.client.post(add, told).status_code == 302

    row.refresh_from_db()
    assert (row.slots, row.revision) == (3, 2)
    assert LanguageModel.objects.get(name="m").tiers == []
    actions = AuditEntry.objects.order_by("pk").values_list("action", flat=True)
    assert list(actions)[-3:] == [
        "gateway.provider.create", "gateway.provider.update", "gateway.model.create",
    ]  # fmt: skip


BAD = [
    ("provider", {"name": "p", "base_url": "nowhere"}, "base_url"),
    ("provider", {"name": "openai", "base_url": "http://x/v1"}, "name"),
    ("languagemodel", {"name": "m", "upstream": "m", "max_output": 10**6}, "max_output"),
    ("gatewaypolicy", {"name": "p", "allowed_models": "[1]"}, "allowed_models"),
    ("gatewaypolicy", {"name": "default"}, "name"),
    ("budget", {"name": "b"}, "hard"),
]


def test_mistakes_are_told_beside_their_fields(boss, models, tenant):
    owners = {"languagemodel": {"provider": models["small"].provider_id},
              "budget": {"tenant": tenant.pk}}  # fmt: skip
    for kind, columns, field in BAD:
        add = f"/admin/gateway/{kind}/add/"

        told = boss.client.post(add, form_of(boss.client, add) | owners.get(kind, {}) | columns)

        assert told.status_code == 200
        assert field in told.context["adminform"].form.errors


def test_a_tenants_admin_writes_its_policies_and_budgets_and_nothing_of_the_platform(
    admin_of, models, tenant, other_tenant
):
    theirs = Budget.objects.create(tenant=other_tenant, name="theirs", hard=1)
    imposed = Budget.objects.create(tenant=tenant, name="cap", hard=1, imposed=True)
    platform = GatewayPolicy.objects.get(name="default")
    add = "/admin/gateway/budget/add/"
    told = form_of(admin_of, add) | {"tenant": tenant.pk, "name": "mine", "hard": 5}

    assert admin_of.post(add, told | {"imposed": "on"}).status_code == 302
    assert not Budget.objects.get(name="mine").imposed
    assert admin_of.post(add, told | {"name": "x", "tenant": other_tenant.pk}).status_code == 200
    assert admin_of.get(f"/admin/gateway/budget/{theirs.pk}/change/").status_code == 302
    rows = {"budget": imposed, "gatewaypolicy": platform, "languagemodel": models["small"],
            "provider": models["small"].provider}  # fmt: skip
    for page, row in rows.items():
        path = f"/admin/gateway/{page}/{row.pk}/change/"
        assert admin_of.get(path).status_code == 200
        assert admin_of.post(path, {"name": "taken"}).status_code == 403
    for page in ("provider", "languagemodel"):
        assert admin_of.get(f"/admin/gateway/{page}/add/").status_code == 403
    add = "/admin/gateway/gatewaypolicy/add/"
    told = form_of(admin_of, add) | {"tenant": tenant.pk, "name": "open", "visibility": "global"}
    assert "visibility" in admin_of.post(add, told).context["adminform"].form.errors


def test_the_ledger_is_read_only_and_kept_apart(admin_of, boss, tenant, other_tenant, pay):
    pay(tenant, "one")
    pay(other_tenant, "theirs")
    mine, theirs = LedgerEntry.objects.order_by("pk")

    assert boss.client.get("/admin/gateway/ledgerentry/add/").status_code == 403
    assert admin_of.get(f"/admin/gateway/ledgerentry/{theirs.pk}/change/").status_code == 302
    assert admin_of.get(f"/admin/gateway/ledgerentry/{mine.pk}/change/").status_code == 200
    listed = admin_of.get("/admin/gateway/ledgerentry/").context["cl"].queryset
    assert [row.request_id for row in listed] == ["one"]


def test_rows_are_switched_off_from_the_list(boss, models):
    small = models["small"]
    chosen = {"action": "disable", "_selected_action": [small.pk]}

    boss.client.post("/admin/gateway/languagemodel/", chosen)

    small.refresh_from_db()
    assert not small.enabled

"""Health checks in the admin."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client

from ansf_platform.accounts.models import AuditEntry, Membership, Tenant
from healthchecks.defaults import ensure_default_checks
from healthchecks.definitions import COMMAND, create
from healthchecks.measuring import run_now
from healthchecks.models import HealthCheck, Reading
from healthchecks.spec import CheckSpec, spec_of

pytestmark = pytest.mark.django_db
LIST = "/admin/healthchecks/healthcheck/"


@pytest.fixture
def tenant():
    return Tenant.objects.get_or_create(slug="default")[0]


@pytest.fixture
def root():
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root", password="x"))
    return client


@pytest.fixture
def member(tenant):
    """An admin of the default tenant who is no superuser."""
    user = get_user_model().objects.create_user("alice", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="healthchecks"))
    Membership.objects.create(user=user, tenant=tenant, role=Membership.Role.ADMIN)
    client = Client()
    client.force_login(user)
    return client


def form(**changed):
    spec = CheckSpec(name="shop", kind="http", target="https://shop.example/")
    values = {name: getattr(spec, name) for name in spec.__slots__}
    return {**values, "params": "{}", "enabled": "on", "tenant": "", **changed}


def test_the_list_shows_states_and_filters_by_them(root, listener):
    ensure_default_checks()
    port = create(None, CheckSpec(name="port", kind="tcp", target=listener.target), COMMAND)
    run_now(port, COMMAND)

    whole = root.get(LIST).content.decode()
    ok = root.get(f"{LIST}?state=ok").content.decode()
    unknown = root.get(f"{LIST}?state=unknown").content.decode()

    assert "connected in" in whole
    assert "port" in ok
    assert "workers-cpu" not in ok
    assert "workers-cpu" in unknown


def test_the_list_takes_the_same_queries_whatever_its_length(root, django_assert_max_num_queries):
    for number in range(30):
        create(None, CheckSpec(name=f"c{number}", kind="memory"), COMMAND)

    with django_assert_max_num_queries(15):
        root.get(LIST)


def test_a_check_is_added_edited_and_deleted_with_its_audit(root):
    root.post(f"{LIST}add/", form())
    row = HealthCheck.objects.get()
    root.post(f"{LIST}{row.pk}/change/", form(fall=7))
    row.refresh_from_db()
    assert (row.fall, row.revision, row.trusted) == (7, 2, True)

    gone = root.post(f"{LIST}{row.pk}/delete/", {"post": "yes"})

    assert gone.status_code == 302
    assert HealthCheck.objects.count() == 0
    verbs = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
    assert verbs == ["health_check.create", "health_check.update", "health_check.delete"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"target": "ftp://x"}, "use an http"),
        ({"params": '{"statuz": 1}'}, "http takes: status"),
        ({"interval_seconds": "0.1"}, "use a number from 1"),
        ({"kind": "pigeon"}, "Select a valid choice"),
        ({"params": "{"}, "valid JSON"),
    ],
)
def test_a_mistake_is_shown_beside_its_field(root, changed, reason):
    answer = root.post(f"{LIST}add/", form(**changed))

    assert answer.status_code == 200
    assert reason in answer.content.decode()
    assert HealthCheck.objects.count() == 0


def test_a_taken_name_is_shown_beside_its_field(root):
    root.post(f"{LIST}add/", form())

    answer = root.post(f"{LIST}add/", form())

    assert "already" in answer.content.decode()


def test_checks_are_run_enabled_and_disabled_from_the_page_and_from_the_list(root, listener):
    check = create(None, CheckSpec(name="port", kind="tcp", target=listener.target), COMMAND)

    ran = root.post(f"{LIST}{check.pk}/do/run/", follow=True).content.decode()
    listed = {"action": "disable", "_selected_action": [check.pk]}
    root.post(LIST, listed)

    check.refresh_from_db()
    assert "ok, connected in" in ran
    assert Reading.objects.count() == 1
    assert not check.enabled
    root.post(f"{LIST}{check.pk}/do/enable/")
    check.refresh_from_db()
    assert check.enabled
    assert AuditEntry.objects.filter(action="health_check.update").count() == 2


def test_a_default_check_cannot_be_deleted(root):
    ensure_default_checks()
    disk = HealthCheck.objects.get(name="disk")

    assert root.post(f"{LIST}{disk.pk}/delete/", {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [disk.pk], "post": "yes"}
    root.post(LIST, chosen)
    assert HealthCheck.objects.filter(pk=disk.pk).exists()


def test_a_member_writes_the_tenants_checks_and_only_sees_the_platforms(member, tenant):
    ensure_default_checks()
    disk = HealthCheck.objects.get(name="disk")
    other = Tenant.objects.create(slug="other")
    foreign = create(other, CheckSpec(name="theirs", kind="tcp", target="x.example:1"), COMMAND)

    listed = member.get(LIST).content.decode()
    added = member.post(f"{LIST}add/", form(tenant=tenant.pk))
    as_platform = member.post(f"{LIST}add/", form(name="mine"))
    elsewhere = member.post(f"{LIST}add/", form(name="mine", tenant=other.pk))

    assert "disk" in listed
    assert "theirs" not in listed
    assert added.status_code == 302
    assert (as_platform.status_code, elsewhere.status_code) == (200, 200)
    assert not HealthCheck.objects.filter(name="mine").exists()
    assert member.post(f"{LIST}{disk.pk}/do/run/").status_code == 403
    assert member.get(f"{LIST}{foreign.pk}/change/").status_code == 302
    assert not HealthCheck.objects.get(name="shop").trusted


def test_another_persons_edit_in_the_admin_takes_the_trust_of_its_author(root):
    root.post(f"{LIST}add/", form())
    row = HealthCheck.objects.get()

    assert row.trusted
    assert spec_of(row).kind == "http"


@pytest.mark.parametrize("model", ["reading", "flip"])
def test_history_is_shown_and_cannot_be_changed(root, listener, model):
    check = create(None, CheckSpec(name="port", kind="tcp", target=listener.target), COMMAND)
    run_now(check, COMMAND)

    answer = root.get(f"/admin/healthchecks/{model}/")

    assert "port" in answer.content.decode()
    assert root.get(f"/admin/healthchecks/{model}/add/").status_code == 403

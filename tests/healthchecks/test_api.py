"""Health checks over REST."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from ansf_platform.accounts import tokens
from ansf_platform.accounts.models import AuditEntry, Tenant
from ansf_platform.accounts.scopes import SCOPES
from healthchecks.api import checks
from healthchecks.defaults import ensure_default_checks
from healthchecks.definitions import COMMAND, create
from healthchecks.models import HealthCheck, Reading
from healthchecks.spec import CheckSpec

pytestmark = pytest.mark.django_db
PATH = "/api/v1/health-checks"
NEW = {"name": "shop", "kind": "http", "target": "https://shop.example/"}


@pytest.fixture
def tenant():
    return Tenant.objects.get_or_create(slug="default")[0]


def caller(tenant, *scopes):
    """A function that calls with a token of the tenant."""
    _, secret = tokens.issue(tenant, "test", scopes or tuple(SCOPES))

    def call(method, path="", body=None, **headers):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return Client().generic(
            method,
            path if path.startswith("/api") else PATH + path,
            b"" if body is None else json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {secret}", **names},
        )

    return call


@pytest.fixture
def call(tenant):
    return caller(tenant)


@pytest.fixture
def root():
    """A superuser's browser."""
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root", password="x"))
    return client


def test_a_check_is_created_shown_changed_and_removed(call):
    made = call("POST", "", NEW)
    path = made["Location"]
    shown = call("GET", path)
    changed = call("PATCH", path, {"fall": 5}, If_Match=shown["ETag"])
    gone = call("DELETE", path, If_Match=changed["ETag"])

    assert (made.status_code, made.json()["state"]) == (201, "unknown")
    assert shown.json() == made.json()
    assert (changed.json()["fall"], changed.json()["revision"]) == (5, 2)
    assert (gone.status_code, call("GET", path).status_code) == (204, 404)
    verbs = set(AuditEntry.objects.values_list("action", flat=True))
    assert verbs == {"health_check.create", "health_check.update", "health_check.delete"}


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_stale_revision_is_412(call, method):
    path = call("POST", "", NEW)["Location"]
    old = call("GET", path)["ETag"]
    call("PATCH", path, {"fall": 5})

    answer = call(method, path, {"fall": 6} if method == "PATCH" else None, If_Match=old)

    assert answer.status_code == 412


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "Shop!"}, "/name"),
        ({"kind": "pigeon"}, "/kind"),
        ({"kind": "disk", "target": ""}, "/kind"),
        ({"target": "file:///etc/passwd"}, "/target"),
        ({"params": {"statuz": 1}}, "/params"),
        ({"params": {"status": ["x"]}}, "/params/status/0"),
        ({"interval_seconds": 0}, "/interval_seconds"),
        ({"fall": 2.5}, "/fall"),
        ({"nonsense": 1}, ""),
    ],
)
def test_a_wrong_field_is_422_with_its_pointer(call, body, field):
    answer = call("POST", "", NEW | body)

    assert answer.status_code == 422
    assert field in {each["field"] for each in answer.json()["errors"]}
    assert HealthCheck.objects.count() == 0


def test_a_taken_name_is_409(call):
    call("POST", "", NEW)

    assert call("POST", "", NEW).status_code == 409


def test_another_tenants_checks_do_not_exist(call):
    path = call("POST", "", NEW)["Location"]
    stranger = caller(Tenant.objects.create(slug="other"))

    answers = [
        stranger("GET", path),
        stranger("PATCH", path, {"fall": 5}),
        stranger("DELETE", path),
        stranger("POST", f"{path}/run"),
        stranger("GET", f"{path}/readings"),
        stranger("GET", f"{path}/flips"),
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert stranger("GET").json()["items"] == []


def test_the_platforms_checks_are_seen_by_tenants_and_written_by_superusers(call, root):
    ensure_default_checks()
    disk = HealthCheck.objects.get(name="disk")
    path = f"{PATH}/{disk.pk}"

    assert call("GET", path).json()["platform"] is True
    assert call("PATCH", path, {"fall": 5}).status_code == 403
    assert call("POST", f"{path}/run").status_code == 403
    assert call("POST", "", NEW | {"platform": True}).status_code == 403
    assert root.post(f"{path}/run", content_type="application/json").status_code == 200
    changed = root.patch(path, {"fall": 5}, content_type="application/json")
    assert changed.json()["fall"] == 5
    assert root.delete(path).status_code == 409  # a default one
    mine = root.post(PATH, {**NEW, "platform": True}, content_type="application/json")
    assert mine.json()["platform"] is True


def test_the_list_is_filtered_and_paged(call, tenant):
    ensure_default_checks()
    for number in range(5):
        spec = CheckSpec(**NEW | {"name": f"c{number}"}, severity="critical")
        create(tenant, spec, COMMAND)

    own = call("GET", "?platform=false&limit=3").json()
    rest = call("GET", f"?platform=false&limit=3&cursor={own['next']}").json()
    leases = call("GET", "?kind=worker_leases").json()["items"]

    assert [row["name"] for row in own["items"] + rest["items"]] == [f"c{n}" for n in range(5)]
    assert rest["next"] is None
    assert {row["name"] for row in leases} == {"workers-cpu", "workers-io"}
    assert call("GET", "?severity=bad").status_code == 400


def test_a_run_measures_records_and_tells(root, listener):
    check = create(None, CheckSpec(name="p", kind="tcp", target=listener.target), COMMAND)

    ran = root.post(f"{PATH}/{check.pk}/run", content_type="application/json").json()
    readings = root.get(f"{PATH}/{check.pk}/readings").json()["items"]
    flips = root.get(f"{PATH}/{check.pk}/flips").json()["items"]
    shown = root.get(f"{PATH}/{check.pk}").json()

    assert ran["state"] == shown["state"] == "ok"
    assert ran["flip"]["after"] == flips[0]["after"] == "ok"
    assert readings == [shown["last_reading"]]
    assert AuditEntry.objects.filter(action="health_check.run").count() == 1


def test_a_tenants_check_run_on_demand_reaches_no_private_address(call, site):
    path = call("POST", "", NEW | {"target": f"{site.url}/"})["Location"]

    ran = call("POST", f"{path}/run").json()

    assert ran["state"] == "failed"
    assert "not a public address" in ran["message"]
    assert site.asked == []


def test_a_run_with_an_idempotency_key_is_recorded_once_and_answered_alike(root, listener):
    check = create(None, CheckSpec(name="p", kind="tcp", target=listener.target), COMMAND)
    ask = {"content_type": "application/json", "headers": {"Idempotency-Key": "k1"}}

    first, again = (root.post(f"{PATH}/{check.pk}/run", **ask) for _ in range(2))

    assert first.json() == again.json()
    assert first.json()["state"] == "ok"
    assert Reading.objects.count() == 1


def test_a_run_of_nothing_is_404_and_other_methods_measure_nothing(root):
    check = create(None, CheckSpec(name="p", kind="memory"), COMMAND)

    assert root.post(f"{PATH}/999/run", content_type="application/json").status_code == 404
    assert root.get(f"{PATH}/{check.pk}/run").status_code == 405
    assert Reading.objects.count() == 0


def test_too_many_runs_at_once_are_429(call, monkeypatch):
    path = call("POST", "", NEW)["Location"]
    monkeypatch.setattr(checks.RUNNERS, "acquire", lambda **_: False)

    answer = call("POST", f"{path}/run")

    assert answer.status_code == 429
    assert answer["Retry-After"]
    assert Reading.objects.count() == 0


def test_scopes_are_asked_for(tenant):
    reader = caller(tenant, "health:read")

    assert reader("GET").status_code == 200
    assert reader("POST", "", NEW).status_code == 403
    assert caller(tenant, "tasks:read")("GET").status_code == 403
    assert Client().get(PATH).status_code == 401


def test_readings_since_a_moment_only(root, listener):
    check = create(None, CheckSpec(name="p", kind="tcp", target=listener.target), COMMAND)
    root.post(f"{PATH}/{check.pk}/run", content_type="application/json")

    later = root.get(f"{PATH}/{check.pk}/readings?since=2999-01-01T00:00:00Z").json()["items"]
    wrong = root.get(f"{PATH}/{check.pk}/readings?since=yesterday")

    assert later == []
    assert wrong.status_code == 400


def test_the_openapi_document_knows_all_operations(root):
    paths = root.get("/api/v1/openapi.json").json()["paths"]

    assert {f"{PATH}", f"{PATH}/{{check_id}}", f"{PATH}/{{check_id}}/run"} <= set(paths)

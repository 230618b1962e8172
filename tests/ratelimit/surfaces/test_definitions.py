"""What a policy may say: the same refusals, with field and reason, by every way in."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
import yaml
from django.core.management import call_command
from django.core.management.base import CommandError
from hypothesis import given
from hypothesis import strategies as st

from ansf_platform.accounts.models import AuditEntry
from coordination import declaration
from coordination.errors import Invalid as Refusal
from ratelimit import counting, policies
from ratelimit.errors import Invalid
from ratelimit.models import Policy
from ratelimit.spec import COLUMNS, spec_from, validate
from ratelimit.subject import FIELDS, Subject, check_template, key_of

GOOD = {"name": "reports", "limit": 10, "period_seconds": 60}


def template(text):
    return {"scope": "template", "key_template": text}


BAD = {
    "no period": ({"period_seconds": 0}, "period_seconds"),
    "a negative period": ({"period_seconds": -1}, "period_seconds"),
    "a fraction of a microsecond": ({"period_seconds": 1.0000001}, "period_seconds"),
    "a negative cost": ({"unit": "cost", "limit": -5}, "limit"),
    "no limit": ({"limit": 0}, "limit"),
    "too slow": ({"limit": 1, "period_seconds": 32 * 86_400}, "limit"),
    "too fast": ({"limit": 100_001, "period_seconds": 1}, "limit"),
    "an unknown scope": ({"scope": "planet"}, "scope"),
    "an unknown unit": ({"unit": "apples"}, "unit"),
    "a huge burst": ({"burst": 10**12}, "burst"),
    "a burst that takes years": ({"limit": 1, "period_seconds": 100, "burst": 10**6}, "burst"),
    "a burst of slots": ({"unit": "concurrency", "burst": 99}, "burst"),
    "slots that refuse": ({"unit": "concurrency", "on_deny": "reject", "limit": 2}, "on_deny"),
    "slots of a brief life": ({"unit": "concurrency", "period_seconds": 0.5, "on_deny": "wait"},
                              "period_seconds"),
    "a template that looks like a tenant's": (template("@7/{user}"), "key_template"),
    "a template of itself": (template("{key}:{tenant}"), "key_template"),
    "a template within one": (template("{key_template}"), "key_template"),
    "an unknown field": (template("{password}"), "key_template"),
    "an attribute": (template("{user.password}"), "key_template"),
    "a template of no field": (template("all"), "key_template"),
    "touching fields": (template("{tenant}{user}"), "key_template"),
    "no template": (template(""), "key_template"),
    "a template beside a scope": ({"key_template": "{user}"}, "key_template"),
    "an api that waits": ({"applies_to": "api", "on_deny": "wait"}, "on_deny"),
    "an api of tokens": ({"applies_to": "api", "unit": "tokens"}, "unit"),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "field"), BAD.values(), ids=list(BAD))
def test_rest_refuses_a_bad_policy_with_field_and_reason(api, columns, field):
    told = api.post("limits", GOOD | columns)

    assert told.status_code == 422, told.content
    wrong = told.json()["errors"]
    assert [each["field"] for each in wrong] == [f"/{field}"]
    assert len(wrong[0]["message"]) > 10
    assert not Policy.objects.filter(name="reports").exists()


SLOW = {
    "100 a day": {"limit": 100, "period_seconds": 86_400},
    "1 a month": {"limit": 1, "period_seconds": 31 * 86_400},
    "1 a month, a year's at once": {"limit": 1, "period_seconds": 31 * 86_400, "burst": 11},
}


@pytest.mark.parametrize("columns", SLOW.values(), ids=list(SLOW))
def test_rest_takes_slow_limits(api, columns):
    assert api.post("limits", GOOD | columns).status_code == 201


@pytest.mark.parametrize(("columns", "field"), BAD.values(), ids=list(BAD))
def test_the_command_line_refuses_it_in_one_line(db, columns, field):
    words = []
    for name, value in (GOOD | columns).items():
        if name != "name":
            option = "period" if name == "period_seconds" else name.replace("_", "-")
            words.append(f"--{option}={value}")

    with pytest.raises(CommandError) as refused:
        call_command("limit", "set", "reports", *words)

    assert refused.value.returncode == 2
    assert field in str(refused.value)


@pytest.mark.parametrize(("columns", "field"), BAD.values(), ids=list(BAD))
def test_the_admin_refuses_it_beside_the_field(boss, columns, field):
    form = {"unit": "requests", "scope": "tenant", "on_deny": "reject", "enabled": "on",
            "without_redis": "local", "applies_to": "named"}  # fmt: skip

    told = boss.client.post("/admin/ratelimit/policy/add/", form | GOOD | columns)

    assert told.status_code == 200
    assert field in told.context["adminform"].form.errors


@pytest.mark.parametrize(("columns", "field"), BAD.values(), ids=list(BAD))
def test_yaml_refuses_it_with_its_path(tenant, columns, field):
    given = GOOD | columns
    entry = {"period" if key == "period_seconds" else key: value for key, value in given.items()}
    del entry["name"]

    with pytest.raises(Refusal) as refused:
        apply(tenant, {"limits": {"reports": entry}})

    told = [each.field for each in refused.value.errors]
    assert told == [f"/limits/reports/{'period' if field == 'period_seconds' else field}"]
    assert not Policy.objects.filter(name="reports").exists()


def apply(tenant, document, **more):
    text = yaml.safe_dump(document)
    return declaration.apply(tenant, declaration.parse(text), actor="command", **more)


def test_yaml_declares_changes_and_exports_limits(tenant):
    small = {"unit": "tokens", "limit": 60_000, "period": 60, "scope": "model"}
    made = apply(tenant, {"limits": {"small-model": small}})
    again = apply(tenant, {"limits": {"small-model": small}})
    changed = apply(tenant, {"limits": {"small-model": {"burst": 1000}}})

    assert [(each.action, each.kind, each.name) for each in made] == [
        ("create", "limit", "small-model")
    ]
    assert again == ()
    assert (changed[0].before, changed[0].after) == ({"burst": None}, {"burst": 1000})
    assert declaration.export(tenant)["limits"] == {"small-model": small | {"burst": 1000}}
    assert AuditEntry.objects.filter(object_type="policy").count() == 2


@pytest.mark.parametrize(
    ("place", "usual"), [("named", "wait"), ("api", "reject"), ("gateway", "reject")]
)
def test_work_waits_and_requests_are_refused_unless_a_policy_says_otherwise(
    api, tenant, place, usual
):
    bare = {"name": "bare", "limit": 5, "applies_to": place}
    assert api.post("limits", bare).json()["on_deny"] == usual
    apply(tenant, {"limits": {"declared": {"limit": 5, "applies_to": place}}})
    call_command("limit", "set", "set", "--limit", "5", "--applies-to", place)

    assert {row.on_deny for row in Policy.objects.filter(name__in=["declared", "set"])} == {usual}
    assert "on_deny" not in declaration.export(tenant)["limits"]["declared"]


def test_a_dry_run_of_yaml_writes_nothing(tenant):
    changes = apply(tenant, {"limits": {"small-model": {"limit": 5}}}, dry_run=True)

    assert len(changes) == 1
    assert not Policy.objects.filter(name="small-model").exists()


def test_a_misspelt_key_of_a_limit_is_refused_with_its_path(tenant):
    with pytest.raises(Refusal, match=r"/limits/a/peroid: unknown key; .* period"):
        apply(tenant, {"limits": {"a": {"peroid": 5}}})


def test_a_tenant_cannot_limit_sign_ins(api):
    told = api.post("limits", GOOD | {"applies_to": "login"})

    assert told.status_code == 422
    assert told.json()["errors"][0]["field"] == "/applies_to"


def mistakes_in(spec):
    try:
        validate(spec, platform=True)
    except Invalid as refused:
        return {each.field[1:] for each in refused.errors}
    return set()


@given(
    st.dictionaries(
        st.sampled_from(COLUMNS),
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
            st.decimals(allow_nan=True), st.lists(st.integers(), max_size=2),
        ),
    )
)  # fmt: skip
def test_whatever_a_document_holds_is_accepted_or_refused_never_a_crash(columns):
    spec = spec_from(columns)
    wrong = mistakes_in(spec)

    assert wrong <= set(COLUMNS)
    assert wrong or spec.quota.limit == spec.limit


# --- templates ------------------------------------------------------------------------------
values = st.text(min_size=1, max_size=150)


@given(values, values, values, values)
def test_two_subjects_never_share_a_key(tenant, user, other_tenant, other_user):
    keys = [
        key_of("{tenant}:{user}", Subject(tenant=t, user=u))
        for t, u in ((tenant, user), (other_tenant, other_user))
    ]

    assert (keys[0] == keys[1]) == ((tenant, user) == (other_tenant, other_user))
    assert all(key.isascii() and key.isprintable() for key in keys)


def test_each_field_of_a_subject_can_be_counted_by():
    template = ":".join(f"{{{name}}}" for name in FIELDS)

    check_template(template)

    assert key_of(template, Subject(**{name: name for name in FIELDS})) == ":".join(FIELDS)


def test_a_policy_does_not_count_a_subject_without_its_field(limit, tenant):
    limit("per-user", 10, scope="user")

    assert policies.buckets_for(["per-user"], Subject(tenant=str(tenant.pk), token="1")) == ()


# --- whose, and when in force ---------------------------------------------------------------
def test_a_tenants_policy_counts_beside_the_platforms_of_the_same_name(limit, tenant, other_tenant):
    limit("models", 100, scope="model")
    limit("models", 1000, scope="model", tenant=tenant)

    mine, theirs = (
        policies.buckets_for(["models"], Subject(tenant=str(owner.pk), model="small"))
        for owner in (tenant, other_tenant)
    )

    assert [bucket.quota.limit for bucket in mine] == [100, 1000]
    assert [bucket.quota.limit for bucket in theirs] == [100]
    assert len({bucket.key for bucket in mine}) == 2


def test_no_name_makes_the_platforms_bucket_a_tenants(limit, tenant):
    limit("models", 100, scope="template", key_template="{user}/{model}")
    limit("models", 1000, scope="model", tenant=tenant)
    owner = str(tenant.pk)

    alls, own = policies.buckets_for(
        ["models"], Subject(tenant=owner, user=f"@{owner}", model="model:small")
    )
    [mine] = policies.buckets_for(["models"], Subject(tenant=owner, model="small"))

    assert mine.key == f"@{owner}/model:small"
    assert len({alls.key, own.key, mine.key}) == 3
    assert counting.identity(alls) == ":models"
    assert counting.identity(own) == f"{owner}:models"


def test_a_view_is_asked_for_one_tenant_and_not_for_all(limit, tenant, other_tenant, only):
    for owner in (tenant, other_tenant, None):
        limit("calls", 5, tenant=owner, applies_to="gateway")
    view = policies.Watcher().view()

    assert {key: len(found) for key, found in view.by_place.items()} == {
        ("gateway", None): 1,
        ("gateway", str(tenant.pk)): 1,
        ("gateway", str(other_tenant.pk)): 1,
    }
    found = policies.applying("gateway", Subject(tenant=str(tenant.pk)))
    assert [bucket.key for bucket in found] == [
        f"tenant:{tenant.pk}", f"@{tenant.pk}/tenant:{tenant.pk}"
    ]  # fmt: skip


def test_slots_that_say_nothing_are_kept_for_thirty_seconds(limit, tenant):
    slots = limit("slots", 2, unit="concurrency", tenant=tenant)

    assert slots.period_seconds == 30
    assert "period" not in declaration.export(tenant)["limits"]["slots"]


def test_a_change_is_seen_within_two_seconds_without_being_told(limit, tenant):
    row = limit("reports", 10)
    clock = [0.0]
    watcher = policies.Watcher(now=lambda: clock[0])
    assert watcher.view().by_name["reports", None][0].quota.limit == 10
    Policy.objects.filter(pk=row.pk).update(limit=20)

    clock[0] += 2.0

    assert watcher.view().by_name["reports", None][0].quota.limit == 20


def test_the_rows_are_read_once_a_second_however_often_they_are_asked_for(
    limit, django_assert_num_queries
):
    limit("reports", 10)
    clock = [0.0]
    watcher = policies.Watcher(now=lambda: clock[0])

    with django_assert_num_queries(2):
        for _ in range(100):
            watcher.view()
        clock[0] += 1.5
        for _ in range(100):
            watcher.view()


def test_a_database_that_is_away_leaves_the_last_policies_in_force(limit, monkeypatch):
    limit("reports", 10)
    clock = [0.0]
    watcher = policies.Watcher(now=lambda: clock[0])
    watcher.view()

    def away():
        raise policies.DatabaseError("gone")

    monkeypatch.setattr(policies, "_read", away)
    clock[0] += 5.0

    assert ("reports", None) in watcher.view().by_name
    assert ("reports", None) in watcher.view().by_name


def test_disabled_and_deleted_policies_limit_nothing(api, tenant):
    subject = Subject(tenant=str(tenant.pk))
    made = api.post("limits", GOOD).json()
    assert policies.buckets_for(["reports"], subject)

    api.patch(f"limits/{made['id']}", {"enabled": False})
    assert policies.buckets_for(["reports"], subject) == ()

    api.patch(f"limits/{made['id']}", {"enabled": True})
    assert policies.buckets_for(["reports"], subject)
    assert api.delete(f"limits/{made['id']}").status_code == 204
    assert policies.buckets_for(["reports"], subject) == ()


def test_every_change_is_audited_with_what_was_before(api):
    made = api.post("limits", GOOD).json()
    api.patch(f"limits/{made['id']}", {"limit": 20})
    api.delete(f"limits/{made['id']}")

    entries = AuditEntry.objects.filter(object_type="policy").order_by("pk")

    assert [entry.action for entry in entries] == [
        "policy.create", "policy.update", "policy.delete",
    ]  # fmt: skip
    assert entries[1].detail["changes"] == {"limit": [10, 20]}
    json.dumps([entry.detail for entry in entries])


def test_a_period_keeps_its_microseconds(api):
    made = api.post("limits", GOOD | {"period_seconds": 0.1}).json()

    row = Policy.objects.get(pk=made["id"])
    assert row.period_seconds == Decimal("0.1")
    assert policies.of_row(row).quota.period_us == 100_000

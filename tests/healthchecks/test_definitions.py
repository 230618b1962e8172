"""What may be declared, who may declare it, and what is written about it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck as Health
from hypothesis import given, settings
from hypothesis import strategies as st

from ansf_platform.accounts.models import AuditEntry, Tenant
from coordination.declaration.markup import load
from coordination.errors import Invalid, Refused
from healthchecks.defaults import DEFAULT_CHECKS, ensure_default_checks
from healthchecks.definitions import COMMAND, Author, create, delete, switch, update
from healthchecks.documents import apply_checks, as_document, checks_from
from healthchecks.models import HealthCheck
from healthchecks.probes import PROBES
from healthchecks.probes.measurement import Probe
from healthchecks.spec import CheckSpec, spec_of, validate

GOOD = {"name": "shop", "kind": "http", "target": "https://shop.example/"}


@pytest.fixture
def tenant(db):
    return Tenant.objects.get_or_create(slug="default")[0]


def mistakes(*, platform=True, **columns):
    try:
        validate(CheckSpec(**(GOOD | columns)), platform=platform)
    except Invalid as error:
        return {each.field: each.message for each in error.errors}
    return {}


@pytest.mark.parametrize(
    ("columns", "field", "reason"),
    [
        ({"name": "Shop"}, "/name", "a-z"),
        ({"name": "shop\n"}, "/name", "a-z"),
        ({"name": ""}, "/name", "a-z"),
        ({"name": 7}, "/name", "a-z"),
        ({"kind": "pigeon"}, "/kind", "tcp"),
        ({"kind": ["http"]}, "/kind", "tcp"),
        ({"target": "ftp://x"}, "/target", "http"),
        ({"target": 80}, "/target", "text"),
        ({"target": "http://x/" + "a" * 600}, "/target", "500"),
        ({"target": "http://x/\x00"}, "/target", "printable"),
        ({"interval_seconds": 0.5}, "/interval_seconds", "1 to 86400"),
        ({"interval_seconds": float("nan")}, "/interval_seconds", "1 to 86400"),
        ({"interval_seconds": "30"}, "/interval_seconds", "1 to 86400"),
        ({"interval_seconds": True}, "/interval_seconds", "1 to 86400"),
        ({"timeout_seconds": 0}, "/timeout_seconds", "0.1 to 60"),
        ({"rise": 0}, "/rise", "whole number from 1 to 20"),
        ({"fall": 1.5}, "/fall", "whole number from 1 to 20"),
        ({"severity": "bad"}, "/severity", "critical"),
        ({"enabled": "yes"}, "/enabled", "true or false"),
        ({"params": {"statuz": [200]}}, "/params", "status"),
        ({"params": {"status": ["ok"]}}, "/params/status/0", "integer"),
        ({"params": {"degraded_ms": -1}}, "/params/degraded_ms", "minimum"),
        ({"params": {"degraded_ms": float("nan")}}, "/params", "finite"),
        ({"params": {"contains": "\x00"}}, "/params", "stored"),
        ({"params": {"contains": "\ud800"}}, "/params", "stored"),
        ({"params": {"contains": "x" * 9000}}, "/params", "4 kB"),
        ({"params": []}, "/params", "object"),
        ({"params": None}, "/params", "object"),
        ({"params": {"status": {1, 2}}}, "/params", "texts"),
    ],
)
def test_a_mistake_is_named_with_its_field_and_its_reason(columns, field, reason):
    assert reason in mistakes(**columns)[field]


def test_all_mistakes_are_told_at_once():
    assert set(mistakes(name="", rise=0, severity="")) == {"/name", "/rise", "/severity"}


@pytest.mark.parametrize("kind", sorted(set(PROBES) - {"http", "tcp", "queue_depth", "oldest_age"}))
def test_a_tenants_check_may_not_look_at_the_platform(kind):
    assert "looks at the platform" in mistakes(platform=False, kind=kind, target="")["/kind"]
    assert "/kind" not in mistakes(platform=True, kind=kind, target="")


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_the_defaults_of_every_probe_fit_its_own_schema(probe: Probe):
    defaults = {name: schema["default"] for name, schema in probe.params.items()}

    kind = next(name for name, each in PROBES.items() if each is probe)
    target = {"http": "http://x.example", "tcp": "x:1"}.get(kind, "")
    assert mistakes(kind=kind, target=target, params=defaults) == {}


# The first text of a run is slow to draw: hypothesis reads the tables of Unicode.
@settings(suppress_health_check=[Health.too_slow], deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["target", "rise", "fall", "severity", "enabled", "params", "kind"]),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
            ),
            max_leaves=5,
        ),
    )
)
def test_whatever_is_given_is_accepted_or_refused_but_never_a_crash(columns):
    mistakes(**columns)


def test_a_check_is_written_with_its_audit_and_its_name_is_taken_once(tenant):
    row = create(tenant, CheckSpec(**GOOD), Author("user:1", request_id="r1"))

    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.tenant) == ("health_check.create", "user:1", tenant)
    assert spec_of(row) == CheckSpec(**GOOD)
    with pytest.raises(Refused, match="already"):
        create(tenant, CheckSpec(**GOOD), COMMAND)
    create(None, CheckSpec(**GOOD), COMMAND)
    with pytest.raises(Refused, match="already"):
        create(None, CheckSpec(**GOOD), COMMAND)


def test_only_a_trusted_authors_platform_check_is_trusted_and_the_last_author_counts(tenant):
    stranger = Author("user:2", trusted=False)

    assert create(None, CheckSpec(**GOOD), COMMAND).trusted
    assert not create(tenant, CheckSpec(**GOOD), COMMAND).trusted
    check = HealthCheck.objects.get(tenant=None)
    moved = update(check, CheckSpec(**GOOD | {"target": "http://10.0.0.1/"}), stranger)
    assert not moved.trusted


def test_an_update_names_what_changed_and_one_without_a_change_writes_nothing(tenant):
    row = create(tenant, CheckSpec(**GOOD), COMMAND)

    same = update(row, CheckSpec(**GOOD), COMMAND)
    changed = update(row, CheckSpec(**GOOD, fall=5), COMMAND)

    assert (same.revision, changed.revision) == (1, 2)
    assert AuditEntry.objects.filter(action="health_check.update").count() == 1
    assert AuditEntry.objects.first().detail["changes"] == {"fall": [3, 5]}


def test_an_update_of_another_revision_or_of_a_deleted_check_is_refused(tenant):
    row = create(tenant, CheckSpec(**GOOD), COMMAND)
    update(row, CheckSpec(**GOOD, fall=5), COMMAND)

    with pytest.raises(Refused, match="revision 2"):
        update(row, CheckSpec(**GOOD, fall=6), COMMAND, revision=1)
    delete(row, COMMAND)
    with pytest.raises(Refused, match="deleted"):
        switch(row, COMMAND, enabled=False)


def test_default_checks_appear_once_are_valid_and_stay_as_edited(db):
    first = ensure_default_checks()
    switch(HealthCheck.objects.get(name="memory"), COMMAND, enabled=False)
    second = ensure_default_checks()

    assert (len(first), len(second)) == (len(DEFAULT_CHECKS), 0)
    assert not HealthCheck.objects.get(name="memory").enabled
    for spec in DEFAULT_CHECKS:
        validate(spec, platform=True)


def test_a_default_check_is_disabled_not_deleted(db):
    ensure_default_checks()

    with pytest.raises(Refused, match="disable"):
        delete(HealthCheck.objects.get(name="disk"), COMMAND)


# --- YAML ----------------------------------------------------------------------------------
DOCUMENT = """
checks:
  - {name: shop, kind: http, target: "https://shop.example/", interval: 60, fall: 2}
  - {name: port, kind: tcp, target: "shop.example:443", severity: critical}
"""


def apply(text, tenant=None, **options):
    return apply_checks(tenant, checks_from(load(text)), COMMAND, **options)


def test_a_document_creates_what_is_missing_and_changes_nothing_the_second_time(db):
    first = [each.action for each in apply(DOCUMENT)]
    second = [each.action for each in apply(DOCUMENT)]

    assert (first, second) == (["create", "create"], ["same", "same"])
    shop = HealthCheck.objects.get(name="shop")
    assert (shop.interval_seconds, shop.fall, shop.rise) == (60, 2, 2)


def test_a_field_that_is_left_out_stays_and_a_check_that_is_left_out_is_left_alone(db):
    apply(DOCUMENT)

    plan = apply("- {name: shop, timeout: 3}")

    assert plan[0].changes == {"timeout_seconds": (5.0, 3)}
    assert HealthCheck.objects.get(name="shop").fall == 2
    assert HealthCheck.objects.count() == 2


def test_a_dry_run_shows_the_difference_and_writes_nothing(db):
    plan = apply(DOCUMENT, dry_run=True)

    assert [each.action for each in plan] == ["create", "create"]
    assert HealthCheck.objects.count() == AuditEntry.objects.count() == 0


def test_what_is_exported_can_be_applied(db):
    ensure_default_checks()
    document = as_document(HealthCheck.objects.all())

    plan = apply_checks(None, checks_from(document), COMMAND)

    assert {each.action for each in plan} == {"same"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "list of checks"),
        ("checks: 5", "list of checks"),
        ("- 5", "item 0: use a mapping"),
        ("- {kind: tcp}", "item 0/name"),
        ("- {name: a, kind: tcp, target: 'a:1', intervall: 3}", "item 0/intervall"),
        ("- {name: a}", "item 0/kind"),
        ("- {name: a, kind: tcp, target: 'a:1', interval: .inf}", "item 0/interval"),
        ("- {name: a, kind: disk}\n- {name: a, kind: disk}", "item 1/name: a is there twice"),
        ("- {name: a, kind: disk, params: {degraded_mb: x}}", "item 0/params/degraded_mb"),
        ("- [", "line 1, column 4"),
        ("- &a [x, *a]", "contains itself"),
        ("- {name: a, name: b, kind: disk}", "given twice"),
        ("- !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("- " + "[" * 3000, "nested deeper"),
        ("#" * (2**18 + 1), "larger than"),
        ("- {name: a, kind: disk, ? [1] : 2}", "a key must be text"),
    ],
)
def test_a_document_with_a_mistake_is_refused_whole_with_the_reason(db, text, reason):
    with pytest.raises(Invalid, match=reason):
        apply(text)
    assert HealthCheck.objects.count() == 0


def test_too_many_checks_are_refused():
    with pytest.raises(Invalid, match="at most 1000"):
        checks_from([{"name": f"c{n}", "kind": "disk"} for n in range(1001)])

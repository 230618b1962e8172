"""A misspelt limit is a limit that is off: names that no policy has are refused where written."""

from __future__ import annotations

import pytest

from coordination import declaration, definitions
from coordination.errors import Invalid
from coordination.models import Swarm
from ratelimit.models import Policy

MISSPELT = "no policy is called 'polit', so it would limit nothing: did you mean 'polite'?"


@pytest.fixture
def polite(limit, tenant):
    return limit("polite", 5, tenant=tenant, enabled=False)


@pytest.fixture
def strangers(limit, other_tenant):
    return limit("strange", 5, tenant=other_tenant)


def refusals(answer):
    assert answer.status_code == 422, answer.content
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


def test_rest_refuses_them_for_swarms(api, polite, strangers):
    made = api.post("swarms", {"slug": "readers", "limits": ["polite", "api-token"]})
    assert made.status_code == 201

    assert refusals(api.post("swarms", {"slug": "s", "limits": ["polit"]})) == {"/limits": MISSPELT}
    told = refusals(api.patch("swarms/readers", {"limits": ["polite", "strange"]}))
    assert told["/limits"].startswith("no policy is called 'strange'")


def test_rest_refuses_them_for_definitions(api, polite):
    body = {"name": "read", "handler": "tests.accept"}

    assert refusals(api.post("task-definitions", body | {"limits": ["polit"]})) == {
        "/limits": MISSPELT
    }
    assert api.post("task-definitions", body | {"limits": ["polite"]}).status_code == 201


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"unit": "tokens"}, "tokens is counted later"),
        ({"scope": "agent"}, "no agent is chosen yet"),
    ],
)
def test_a_policy_that_cannot_refuse_tasks_is_not_named_for_them(
    api, limit, tenant, columns, reason
):
    limit("strict", 5, tenant=tenant, on_deny="reject", **columns)

    told = refusals(api.post("swarms", {"slug": "s", "limits": ["strict"]}))

    assert told["/limits"].startswith("strict: it refuses submissions")
    assert reason in told["/limits"]
    Policy.objects.filter(name="strict").update(on_deny="wait")
    assert api.post("swarms", {"slug": "s", "limits": ["strict"]}).status_code == 201


def test_a_document_may_name_what_it_declares_and_nothing_else(tenant):
    document = {
        "swarms": {"readers": {"limits": ["polite"]}},
        "definitions": {"read": {"handler": "tests.accept", "limits": ["polit"]}},
        "limits": {"polite": {"limit": 5}},
    }
    with pytest.raises(Invalid) as refused:
        declaration.apply(tenant, declaration.parse_mapping(document), actor="test")
    document["definitions"]["read"]["limits"] = ["polite"]

    changes = declaration.apply(tenant, declaration.parse_mapping(document), actor="test")

    assert [(e.field, e.message) for e in refused.value.errors] == [
        ("/definitions/read/limits", MISSPELT)
    ]
    assert {change.kind for change in changes} == {"swarm", "definition", "limit"}


def test_the_admin_refuses_them_beside_the_field(boss, tenant, polite):
    columns = {"tenant": tenant.pk, "slug": "readers", "weight": 1, "agents_min": 1}
    columns |= {"agents_max": 2, "capabilities": "[]", "budget": "{}"}
    address = "/admin/coordination/swarm/add/"

    for wrong, message in (('["polit"]', MISSPELT), ("[5]", "use a list"), ("", "use a list")):
        answer = boss.client.post(address, columns | {"limits": wrong})
        assert message in answer.context["adminform"].form.errors["limits"][0]
    assert boss.client.post(address, columns | {"limits": '["polite"]'}).status_code == 302
    assert Swarm.objects.get(slug="readers").limits == ["polite"]


def test_a_name_whose_policy_is_gone_does_not_hinder_other_changes(api, tenant, polite):
    api.post("swarms", {"slug": "readers", "limits": ["polite"]})
    given = {"handler": "tests.accept", "limits": ["polite"]}
    first = definitions.define(tenant, "read", **given)
    Policy.objects.filter(pk=polite.pk).delete()

    assert api.patch("swarms/readers", {"weight": 3}).status_code == 200
    assert definitions.define(tenant, "read", **given) == first
    second = definitions.define(tenant, "read", **given, description="reads")
    assert second.version == 2

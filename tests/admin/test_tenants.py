"""People see their tenants only, and change what their role lets them."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib import admin
from django.urls import reverse

from ansf_platform.accounts.models import AuditEntry
from coordination.models import Agent, Status, Swarm, Task

PLATFORM = {"workernode", "lease", "counter"}  # belong to nobody: everybody on the staff may look
MODELS = [
    model
    for label in ("accounts", "coordination")
    for model in apps.get_app_config(label).get_models()
    if model._meta.model_name not in PLATFORM
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.model_name)
def test_another_tenants_rows_are_not_there(world, person, other_tenant, model):
    stranger = person("admin", of=other_tenant)
    foreign = model.objects.exclude(**_own(model, other_tenant)).order_by("pk").first()
    prefix = f"admin:{model._meta.app_label}_{model._meta.model_name}"

    listed = stranger.get(reverse(f"{prefix}_changelist")).context["cl"].result_list
    page = stranger.get(reverse(f"{prefix}_change", args=[foreign.pk]))

    assert foreign.pk not in {row.pk for row in listed}
    assert page.status_code == 302  # Django's admin answers so for an id that does not exist
    assert page["Location"] == reverse("admin:index")


def _own(model, tenant):
    path = admin.site.get_model_admin(model).tenant_path
    return {path: tenant.pk} if path else {"pk": None}


def test_members_see_their_own_rows(world, person, swarm):
    client = person("viewer")

    listed = client.get(reverse("admin:coordination_swarm_changelist")).context["cl"].result_list
    tasks = client.get(reverse("admin:coordination_task_changelist")).context["cl"].result_list

    assert swarm in list(listed)
    assert world["task"].pk in {row.pk for row in tasks}


def test_another_tenants_task_cannot_be_steered(task, person, other_tenant):
    stranger = person("admin", of=other_tenant)

    pressed = stranger.post(reverse("admin:coordination_task_cancel", args=[task.pk]))
    stranger.post(
        reverse("admin:coordination_task_changelist"),
        {"action": "cancel", "_selected_action": [str(task.pk)], "index": 0},
    )

    task.refresh_from_db()
    assert pressed.status_code == 404
    assert task.status == Status.READY
    assert not AuditEntry.objects.exists()


def test_another_tenants_definition_cannot_be_run(definition, person, other_tenant):
    stranger = person("admin", of=other_tenant)
    address = reverse("admin:coordination_taskdefinition_run", args=[definition.pk])

    assert stranger.post(address, {"payload": "{}"}).status_code == 404
    assert not Task.objects.exists()


def test_a_viewer_looks_and_does_not_touch(task, swarm, definition, person):
    viewer = person("viewer")
    addresses = [
        reverse("admin:coordination_task_cancel", args=[task.pk]),
        reverse("admin:coordination_swarm_pause", args=[swarm.pk]),
        reverse("admin:coordination_swarm_change", args=[swarm.pk]),
        reverse("admin:coordination_swarm_delete", args=[swarm.pk]),
        reverse("admin:coordination_taskdefinition_run", args=[definition.pk]),
    ]

    assert [viewer.post(address).status_code for address in addresses] == [403] * 5
    page = viewer.get(reverse("admin:coordination_task_change", args=[task.pk]))
    assert page.status_code == 200
    assert "/do/cancel/" not in page.content.decode()


def test_an_operator_steers_tasks_and_does_not_configure(task, swarm, person):
    operator = person("operator")

    cancelled = operator.post(reverse("admin:coordination_task_cancel", args=[task.pk]))
    paused = operator.post(reverse("admin:coordination_swarm_pause", args=[swarm.pk]))

    assert (cancelled.status_code, paused.status_code) == (302, 403)
    task.refresh_from_db()
    assert task.status == Status.CANCELLED


def test_an_admin_configures_the_own_tenant_only(swarm, person, other_tenant):
    foreign = Swarm.objects.create(tenant=other_tenant, slug="theirs")
    owner = person("admin")
    add = reverse("admin:coordination_agent_add")

    offered = owner.get(add).context["adminform"].form.fields["swarm"].queryset
    given = {
        "name": "spy", "slots": 1, "capabilities": "[]", "model_settings": "{}", "enabled": "on"
    }  # fmt: skip
    refused = owner.post(add, given | {"swarm": foreign.pk})
    owner.post(add, given | {"swarm": swarm.pk})

    assert foreign not in offered
    assert "swarm" in refused.context["adminform"].form.errors
    assert [agent.swarm for agent in Agent.objects.filter(name="spy")] == [swarm]


def test_even_a_superuser_cannot_tie_two_tenants_together(desk, schedule, other_tenant):
    foreign = Swarm.objects.create(tenant=other_tenant, slug="theirs")
    address = reverse("admin:coordination_schedule_change", args=[schedule.pk])
    form = desk.get(address).context["adminform"].form
    given = {name: form[name].value() for name in form.fields if form[name].value() is not None}

    response = desk.post(address, given | {"payload": "{}", "swarm": foreign.pk})

    assert "belongs to another tenant" in str(response.context["adminform"].form.errors["swarm"])


def test_somebody_without_a_membership_sees_nothing(world, django_user_model):
    loner = django_user_model.objects.create_user("loner", is_staff=True)
    client = pytest.importorskip("django.test").Client()
    client.force_login(loner)

    assert client.get(reverse("admin:coordination_task_changelist")).status_code == 403

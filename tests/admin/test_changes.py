"""Changes by form and by button: done through the services, recorded, refused across tenants."""

from __future__ import annotations

import pytest
from django.urls import reverse

from ansf_platform.accounts import tokens
from ansf_platform.accounts.models import ApiToken, AuditEntry
from coordination import submission
from coordination.models import (
    Agent,
    Lane,
    Schedule,
    Status,
    Swarm,
    Task,
    TaskDefinition,
)


def form_of(desk, address):
    """What a browser would send back from the form at `address`."""
    form = desk.get(address).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    return {k: v for k, v in values.items() if v is not None and v is not False}


def press(desk, row, verb):
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_{verb}"
    return desk.post(reverse(name, args=[row.pk]), follow=True)


def select(desk, row, verb, *more):
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_changelist"
    rows = [str(one.pk) for one in (row, *more)]
    return desk.post(
        reverse(name), {"action": verb, "_selected_action": rows, "index": 0}, follow=True
    )


def told(response):
    return " ".join(str(message) for message in response.context["messages"])


def recorded(action):
    entry = AuditEntry.objects.get(action=action)
    assert entry.actor.startswith("user:")
    assert entry.request_id
    return entry


@pytest.mark.parametrize("act", [press, select])
def test_a_waiting_task_is_cancelled(desk, task, act, boss):
    response = act(desk, task, "cancel")

    task.refresh_from_db()
    assert task.status == Status.CANCELLED
    assert "1 cancelled" in told(response)
    entry = recorded("task.cancel")
    assert (entry.object_id, entry.actor, entry.tenant_id) == (
        str(task.pk),
        f"user:{boss.pk}",
        task.tenant_id,
    )


@pytest.mark.parametrize("act", [press, select])
def test_a_dead_task_is_retried(desk, definition, tenant, act, end):
    task = Task.objects.get(pk=submission.submit("echo", tenant=tenant).task_id)
    end(Status.DEAD, task.pk)

    act(desk, task, "retry")

    task.refresh_from_db()
    assert task.status == Status.READY
    assert recorded("task.retry")


def test_cancelling_what_has_ended_says_so_and_records_nothing(desk, task, end):
    end(Status.SUCCEEDED, task.pk)

    assert "1 finished" in told(press(desk, task, "cancel"))
    assert not AuditEntry.objects.exists()


def test_buttons_are_only_there_where_they_apply(desk, task, end):
    address = reverse("admin:coordination_task_change", args=[task.pk])
    waiting = desk.get(address).content.decode()
    end(Status.DEAD, task.pk)
    dead = desk.get(address).content.decode()

    assert ("/do/cancel/" in waiting, "/do/retry/" in waiting) == (True, False)
    assert ("/do/cancel/" in dead, "/do/retry/" in dead) == (False, True)


def test_a_verb_is_not_for_a_link_that_something_prefetches(desk, task):
    response = desk.get(reverse("admin:coordination_task_cancel", args=[task.pk]))

    assert response.status_code == 405
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("act", [press, select])
def test_a_swarm_is_paused_and_resumed(desk, swarm, act):
    act(desk, swarm, "pause")
    swarm.refresh_from_db()
    assert (swarm.paused, swarm.revision) == (True, 2)

    act(desk, swarm, "resume")
    swarm.refresh_from_db()
    assert not swarm.paused
    assert recorded("swarm.pause").detail == {"slug": "research"}
    assert recorded("swarm.resume")


def test_editing_a_swarm_bumps_its_revision_and_records_what_changed(desk, swarm):
    address = reverse("admin:coordination_swarm_change", args=[swarm.pk])
    response = desk.post(address, form_of(desk, address) | {"weight": 7})

    assert response.status_code == 302
    swarm.refresh_from_db()
    assert (swarm.weight, swarm.revision) == (7, 2)
    assert recorded("swarm.update").detail == {"before": {"weight": 1}, "after": {"weight": 7}}


def test_a_swarm_that_tasks_refer_to_is_not_deleted(desk, swarm, task):
    response = desk.post(
        reverse("admin:coordination_swarm_delete", args=[swarm.pk]), {"post": "yes"}
    )

    assert Swarm.objects.filter(pk=swarm.pk).exists()
    assert "tasks of the swarm research" in response.content.decode()


def test_a_swarm_without_tasks_is_deleted_and_recorded(desk, swarm):
    desk.post(reverse("admin:coordination_swarm_delete", args=[swarm.pk]), {"post": "yes"})

    assert not Swarm.objects.filter(pk=swarm.pk).exists()
    assert recorded("swarm.delete").detail == {"name": "research"}


def test_deleting_a_selection_is_recorded_too(desk, swarm):
    agents = [Agent.objects.create(swarm=swarm, name=f"a-{n}") for n in range(2)]
    name = reverse("admin:coordination_agent_changelist")
    rows = [agent.pk for agent in agents]
    desk.post(name, {"action": "delete_selected", "_selected_action": rows, "post": "yes"})

    assert not Agent.objects.filter(swarm=swarm).exists()
    assert AuditEntry.objects.filter(action="agent.delete").count() == 2


# --- definitions ------------------------------------------------------------------------------
def test_saving_a_definition_makes_a_new_version_and_leaves_the_old_alone(desk, definition):
    address = reverse("admin:coordination_taskdefinition_change", args=[definition.pk])
    before = TaskDefinition.objects.filter(pk=definition.pk).values().get()

    desk.post(address, form_of(desk, address) | {"max_attempts": 9})

    assert TaskDefinition.objects.filter(pk=definition.pk).values().get() == before
    newest = TaskDefinition.objects.order_by("-version").first()
    assert (newest.version, newest.max_attempts, newest.handler) == (2, 9, "tests.echo")
    assert recorded("definition.create").detail["version"] == 2


def test_saving_a_definition_unchanged_makes_no_version(desk, definition):
    address = reverse("admin:coordination_taskdefinition_change", args=[definition.pk])

    response = desk.post(address, form_of(desk, address))

    assert response.status_code == 302
    assert TaskDefinition.objects.count() == 1
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("handler", "nobody", "no handler is registered as"),
        ("schema", '{"type": "nonsense"}', "nonsense"),
        ("max_attempts", "0", "greater than or equal to 1"),
    ],
)
def test_a_wrong_definition_is_refused_beside_its_field(desk, definition, field, value, complaint):
    address = reverse("admin:coordination_taskdefinition_change", args=[definition.pk])

    response = desk.post(address, form_of(desk, address) | {field: value})

    assert complaint in " ".join(response.context["adminform"].form.errors[field])
    assert TaskDefinition.objects.count() == 1


def test_a_definition_is_added(desk, tenant):
    address = reverse("admin:coordination_taskdefinition_add")
    given = form_of(desk, address) | {
        "tenant": tenant.pk,
        "name": "fresh",
        "handler": "tests.echo",
    }

    desk.post(address, given)

    assert TaskDefinition.objects.get().name == "fresh"
    assert recorded("definition.create").tenant_id == tenant.pk


def test_definitions_are_switched_off_not_deleted(desk, definition):
    assert (
        desk.post(
            reverse("admin:coordination_taskdefinition_delete", args=[definition.pk])
        ).status_code
        == 403
    )
    press(desk, definition, "disable")

    definition.refresh_from_db()
    assert not definition.enabled
    assert recorded("definition.disable")


def test_a_definition_is_run_by_hand(desk, definition):
    address = reverse("admin:coordination_taskdefinition_run", args=[definition.pk])
    assert "{&quot;n&quot;: 5}" in desk.get(address).content.decode()

    response = desk.post(address, {"payload": '{"n": 6}', "priority": "8", "key": "k"})

    task = Task.objects.get()
    assert (task.payload, task.priority, task.unique_key) == ({"n": 6}, 8, "k")
    assert response["Location"] == reverse("admin:coordination_task_change", args=[task.pk])
    assert recorded("task.submit").object_id == str(task.pk)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"payload": '{"n": "six"}'}, "/payload/n: &#x27;six&#x27; is not of type"),
        ({"payload": "[1]"}, "must be an object"),
        ({"payload": "{"}, "Enter a valid JSON"),
        ({"payload": "{}", "priority": "10"}, "less than or equal to 9"),
        ({"payload": "{}", "swarm": "999"}, "Select a valid choice"),
    ],
)
def test_a_wrong_payload_is_refused_with_its_path(desk, definition, given, complaint):
    address = reverse("admin:coordination_taskdefinition_run", args=[definition.pk])

    page = desk.post(address, given).content.decode()

    assert complaint in page
    assert not Task.objects.exists()


# --- schedules, lanes, tokens -----------------------------------------------------------------
@pytest.mark.parametrize("act", [press, select])
def test_a_schedule_runs_now(desk, schedule, act):
    act(desk, schedule, "run_now")

    assert recorded("schedule.run").detail["task"] == str(Task.objects.get().pk)


def test_a_schedule_that_cannot_run_says_why(desk, schedule):
    TaskDefinition.objects.update(enabled=False)

    assert "disabled" in told(press(desk, schedule, "run_now"))
    assert not AuditEntry.objects.exists()


def test_saving_a_schedule_arms_it(desk, schedule):
    address = reverse("admin:coordination_schedule_change", args=[schedule.pk])

    desk.post(address, form_of(desk, address) | {"cron": "*/5 * * * *"})

    schedule.refresh_from_db()
    assert schedule.next_at is not None
    assert (schedule.cron, schedule.revision) == ("*/5 * * * *", 2)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"cron": "61 * * * *"}, "cron"),
        ({"cron": "", "interval_seconds": ""}, "cron"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"definition_name": "unknown"}, "definition_name"),
    ],
)
def test_a_wrong_schedule_is_refused_beside_its_field(desk, schedule, given, field):
    address = reverse("admin:coordination_schedule_change", args=[schedule.pk])

    response = desk.post(address, form_of(desk, address) | given)

    assert field in response.context["adminform"].form.errors
    assert Schedule.objects.get().revision == 1


def test_a_schedule_is_switched_off_and_on(desk, schedule):
    press(desk, schedule, "disable")
    press(desk, schedule, "enable")

    schedule.refresh_from_db()
    assert schedule.enabled
    assert schedule.next_at is not None
    assert recorded("schedule.disable")
    assert recorded("schedule.enable")


@pytest.mark.parametrize("act", [press, select])
def test_a_halted_lane_goes_on(desk, definition, tenant, act):
    submission.submit("echo", tenant=tenant, lane="orders")
    Lane.objects.update(halted=True)
    lane = Lane.objects.get()

    act(desk, lane, "skip")

    lane.refresh_from_db()
    assert not lane.halted
    assert recorded("lane.skip")


def secret_in(response):
    return told(response).partition("shown only now: ")[2].split()[0]


@pytest.mark.parametrize("act", [press, select])
def test_rotating_a_token_shows_its_secret_once(desk, token, act):
    response = act(desk, token, "rotate")

    assert tokens.find(secret_in(response)).pk == token.pk
    address = reverse("admin:accounts_apitoken_change", args=[token.pk])
    assert "shown only now" not in desk.get(address).content.decode()
    assert recorded("token.rotate").detail == {"name": "ci"}


def test_a_token_is_made_with_its_secret_shown_once(desk, tenant):
    given = {"tenant": tenant.pk, "name": "deploy", "scopes": ["tasks:write", "tasks:read"]}

    response = desk.post(reverse("admin:accounts_apitoken_add"), given, follow=True)

    found = tokens.find(secret_in(response))
    assert found.scopes == ["tasks:read", "tasks:write"]
    assert recorded("token.create")


def test_a_revoked_token_is_refused_and_cannot_be_rotated(desk, token):
    press(desk, token, "revoke")
    press(desk, token, "rotate")

    token.refresh_from_db()
    assert token.revoked_at is not None
    assert not AuditEntry.objects.filter(action="token.rotate").exists()


def test_the_digest_of_a_token_is_nowhere_on_its_page(desk, token):
    page = desk.get(reverse("admin:accounts_apitoken_change", args=[token.pk]))

    assert token.digest not in page.content.decode()
    assert ApiToken.objects.get().digest == token.digest


# --- people -----------------------------------------------------------------------------------
def test_what_is_done_to_people_is_recorded_without_their_passwords(desk, django_user_model):
    secret = "long-and-unguessable-1"
    given = {"username": "ada", "usable_password": "true", "password1": secret, "password2": secret}
    desk.post(reverse("admin:auth_user_add"), given)
    person = django_user_model.objects.get(username="ada")
    address = reverse("admin:auth_user_change", args=[person.pk])
    changed = form_of(desk, address) | {
        "is_staff": "on",
        "date_joined_0": "2026-01-31",
        "date_joined_1": "12:00:00",
    }
    desk.post(address, changed)
    desk.post(reverse("admin:auth_user_delete", args=[person.pk]), {"post": "yes"})

    assert not django_user_model.objects.filter(username="ada").exists()
    details = [recorded(f"user.{verb}").detail for verb in ("create", "update", "delete")]
    assert {detail["name"] for detail in details} == {"ada"}
    assert secret not in str(details)
    assert "Staff status" in str(details[1]["what"])

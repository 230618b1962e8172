from __future__ import annotations

import json

import pytest

from ansf_platform.accounts import tokens
from ansf_platform.accounts.models import ApiToken, AuditEntry
from coordination import submission
from coordination.models import Lane, Schedule, Task

pytestmark = pytest.mark.django_db

DIAMOND = {
    "name": "diamond",
    "nodes": [{"name": name, "definition": "echo"} for name in "abcd"],
    "edges": [
        {"parent": "a", "child": "b"},
        {"parent": "a", "child": "c"},
        {"parent": "b", "child": "d"},
        {"parent": "c", "child": "d", "when": "always"},
    ],
}


@pytest.fixture
def run_id(manage, definition):
    return manage("run", "submit", "-", "--json", stdin=json.dumps(DIAMOND)).json["id"]


def test_a_run_is_submitted_whole(manage, run_id):
    said = manage("run", "show", run_id, "--json").json

    assert (said["name"], said["status"]) == ("diamond", "running")
    assert said["counts"] == {"ready": 1, "blocked": 3}
    assert Task.objects.count() == 4
    assert AuditEntry.objects.get().action == "run.submit"


def test_a_run_is_drawn_each_node_once_with_its_further_parents(manage, run_id):
    drawn = manage("run", "show", run_id, "--graph").out.split("\n\n")[1]

    assert drawn.splitlines() == [
        "● a  ready",
        "├─ ○ b  blocked",
        "│  └─ ○ d  blocked  (after c too)",
        "└─ ○ c  blocked",
    ]


def test_runs_are_listed_and_shown_as_tables(manage, run_id):
    assert manage("run", "list", "--json").json["runs"][0]["id"] == run_id
    assert "diamond" in manage("run", "list").out
    assert "waiting_on" in manage("run", "show", run_id).out


def test_another_tenants_run_does_not_exist(fails, run_id, other_tenant):
    fails(2, "run", "show", run_id, "--tenant", "other")


@pytest.fixture
def halted(definition, tenant):
    submission.submit("echo", lane="orders")
    Lane.objects.update(halted=True)
    return Lane.objects.get()


def test_lanes_are_listed_with_what_they_hold(manage, halted):
    assert manage("lane", "list", "--halted", "--json").json["lanes"] == [
        {"key": "orders", "tasks": 1, "halted": True, "on_dead": "halt"}
    ]
    assert "orders" in manage("lane", "list").out


@pytest.mark.parametrize("verb", ["skip", "unhalt"])
def test_a_halted_lane_goes_on(manage, halted, verb):
    assert manage("lane", verb, "orders").out == "orders goes on\n"

    halted.refresh_from_db()
    assert not halted.halted
    assert AuditEntry.objects.get().action == "lane.skip"


def test_going_on_with_a_lane_that_stands_nowhere_fails(fails, halted):
    Lane.objects.update(halted=False)

    assert "was not halted" in fails(1, "lane", "skip", "orders")


@pytest.fixture
def schedule(manage, definition):
    manage("schedule", "create", "nightly", "echo", "--cron", "0 3 * * *", "--payload", '{"n": 2}')
    return Schedule.objects.get()


def test_a_schedule_is_created_armed_and_listed(manage, schedule):
    assert schedule.next_at is not None
    listed = manage("schedule", "list", "--json").json["schedules"][0]
    assert (listed["name"], listed["cron"], listed["payload"]) == (
        "nightly",
        "0 3 * * *",
        {"n": 2},
    )
    assert "nightly" in manage("schedule", "list").out


def test_a_schedule_runs_when_asked(manage, schedule):
    said = manage("schedule", "run", "nightly", "--json").json

    assert Task.objects.get().payload == {"n": 2}
    assert said["task"] == str(Task.objects.get().pk)
    assert AuditEntry.objects.filter(action="schedule.run").exists()


def test_a_schedule_is_disabled_and_enabled(manage, schedule):
    assert manage("schedule", "disable", "nightly", "--json").json["enabled"] is False
    schedule.refresh_from_db()
    assert schedule.next_at is None

    assert manage("schedule", "enable", "nightly").code == 0
    schedule.refresh_from_db()
    assert schedule.next_at is not None


def test_deleting_a_schedule_asks_unless_told_yes(manage, fails, schedule):
    fails(2, "schedule", "delete", "nightly")
    assert Schedule.objects.exists()

    manage("schedule", "delete", "nightly", "--yes")
    assert not Schedule.objects.exists()
    assert AuditEntry.objects.filter(action="schedule.delete").exists()


def test_a_tokens_secret_is_printed_once_and_alone(manage, tenant):
    said = manage("token", "create", "ci", "--scope", "tasks:read", "--expires", "90d")

    token = tokens.find(said.out.strip())
    assert (token.name, token.scopes) == ("ci", ["tasks:read"])
    assert token.expires_at is not None
    assert said.out.strip() not in manage("token", "list", "--json").out
    assert "ci" in manage("token", "list").out


def test_rotating_a_token_ends_its_old_secret(manage, tenant):
    first = manage("token", "create", "ci", "--scope", "all", "--json").json
    second = manage("token", "rotate", first["id"], "--json").json

    assert tokens.find(first["secret"]) is None
    assert tokens.find(second["secret"]).pk == first["id"]


def test_a_revoked_token_is_refused(manage, tenant):
    token = manage("token", "create", "ci", "--scope", "all", "--json").json
    manage("token", "revoke", token["id"])

    assert tokens.find(token["secret"]) is None
    assert {entry.action for entry in AuditEntry.objects.all()} == {"token.create", "token.revoke"}


def test_another_tenants_token_cannot_be_touched(manage, fails, tenant, other_tenant):
    token = manage("token", "create", "ci", "--scope", "all", "--json").json

    fails(2, "token", "revoke", token["id"], "--tenant", "other")
    assert ApiToken.objects.get().revoked_at is None

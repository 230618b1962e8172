"""Swarms, agents, definitions and schedules: made, changed, switched, removed."""

from __future__ import annotations

import pytest
from django.utils import timezone

from ansf_platform.accounts.models import AuditEntry
from coordination.models import Agent, Schedule, Swarm, Task, TaskDefinition

pytestmark = pytest.mark.django_db

HANDLER = "tests.api.add"  # registered by conftest


def actions():
    return list(AuditEntry.objects.order_by("id").values_list("action", flat=True))


@pytest.fixture
def agent(api, swarm):
    response = api.post("agents", {"swarm": "research", "name": "a1", "slots": 2})
    assert response.status_code == 201, response.content
    return response.json()


@pytest.fixture
def schedule(api, definition):
    body = {"name": "nightly", "definition": "demo.add", "cron": "0 3 * * *", "payload": {"x": 1}}
    response = api.post("schedules", body)
    assert response.status_code == 201, response.content
    return response.json()


class TestSwarms:
    def test_a_swarm_is_made_changed_and_removed_with_an_audit_entry_each(self, api):
        made = api.post("swarms", {"slug": "qa", "weight": 3, "agents_max": 4})
        assert made.status_code == 201
        assert made["Location"] == "/api/v1/swarms/qa"
        assert made.json()["weight"] == 3

        changed = api.patch("swarms/qa", {"weight": 5}, If_Match=made["ETag"])
        assert changed.json()["weight"] == 5
        assert changed["ETag"] != made["ETag"]

        assert api.delete("swarms/qa", If_Match=changed["ETag"]).status_code == 204
        assert not Swarm.objects.filter(slug="qa").exists()
        assert actions() == ["swarm.create", "swarm.update", "swarm.delete"]

    def test_a_change_of_nothing_changes_no_revision(self, api, swarm):
        tag = api.get("swarms/research")["ETag"]

        assert api.patch("swarms/research", {"weight": 1})["ETag"] == tag
        assert actions() == []

    def test_a_stale_change_is_412(self, api, swarm, problem):
        tag = api.get("swarms/research")["ETag"]
        api.patch("swarms/research", {"weight": 2})

        problem(api.patch("swarms/research", {"weight": 3}, If_Match=tag), 412)
        problem(api.delete("swarms/research", If_Match=tag), 412)
        assert Swarm.objects.get(slug="research").weight == 2

    @pytest.mark.parametrize("tag", ["*", '"0.0", {}'])
    def test_if_match_takes_any_and_lists(self, api, swarm, tag):
        tag = tag.format(api.get("swarms/research")["ETag"])

        assert api.patch("swarms/research", {"weight": 2}, If_Match=tag).status_code == 200

    @pytest.mark.parametrize("tag", ["1.1", "", '"a', 'W/"1.1"', "**"])
    def test_an_if_match_of_wrong_form_is_400(self, api, swarm, problem, tag):
        problem(api.patch("swarms/research", {"weight": 2}, If_Match=tag), 400)

    def test_a_taken_slug_is_409(self, api, swarm, problem):
        problem(api.post("swarms", {"slug": "research"}), 409)

    @pytest.mark.parametrize(
        "body",
        [
            {"slug": "a", "weight": 0},
            {"slug": "a", "weight": 1001},
            {"slug": "a", "weight": "3"},
            {"slug": "a", "agents_min": 9, "agents_max": 3},
            {"slug": "a", "agents_max": 10**9},
            {"slug": "a b"},
            {"slug": "a\n"},
            {"slug": "a" * 51},
            {"slug": "a", "aging_seconds": -1},
            {"slug": "a", "capabilities": "gpu"},
            {"slug": "a", "tenant": 2},
            {"slug": "a", "id": 2},
        ],
    )
    def test_a_wrong_swarm_is_422(self, api, problem, body):
        problem(api.post("swarms", body), 422)
        assert not Swarm.objects.filter(slug__startswith="a").exists()

    def test_pause_and_resume_are_told_once(self, api, swarm):
        assert api.post("swarms/research/pause").json()["paused"] is True
        api.post("swarms/research/pause")
        assert api.post("swarms/research/resume").json()["paused"] is False
        assert actions() == ["swarm.pause", "swarm.resume"]

    def test_a_swarm_that_tasks_refer_to_is_409(self, api, submitted, problem):
        submitted()

        assert "tasks" in problem(api.delete("swarms/research"), 409)["detail"]
        assert Swarm.objects.filter(slug="research").exists()

    def test_a_swarm_that_a_definition_refers_to_is_409(self, api, definition, problem):
        problem(api.delete("swarms/research"), 409)

    def test_swarms_are_listed_by_state(self, api, swarm):
        api.post("swarms", {"slug": "qa", "paused": True})

        assert [s["slug"] for s in api.get("swarms?paused=true").json()["items"]] == ["qa"]
        listed = [s["slug"] for s in api.get("swarms").json()["items"]]
        assert listed[-2:] == ["research", "qa"]


class TestAgents:
    def test_an_agent_is_made_changed_and_removed(self, api, agent):
        assert (agent["swarm"], agent["slots"]) == ("research", 2)

        changed = api.patch(f"agents/{agent['id']}", {"slots": 3, "enabled": False}).json()
        assert (changed["slots"], changed["enabled"], changed["revision"]) == (3, False, 2)

        assert api.delete(f"agents/{agent['id']}").status_code == 204
        assert actions() == ["agent.create", "agent.update", "agent.delete"]

    def test_a_name_is_taken_once_per_swarm(self, api, agent, problem):
        problem(api.post("agents", {"swarm": "research", "name": "a1"}), 409)
        assert Agent.objects.filter(name="a1").count() == 1

    def test_an_unknown_swarm_is_422(self, api, problem):
        told = problem(api.post("agents", {"swarm": "nowhere", "name": "a1"}), 422)
        assert told["errors"][0]["field"] == "/swarm"

    def test_another_tenants_swarm_is_unknown(self, api, stranger, swarm, problem):
        problem(stranger.post("agents", {"swarm": "research", "name": "a1"}), 422)

    def test_agents_are_listed_by_swarm(self, api, agent):
        assert len(api.get("agents?swarm=research&enabled=true").json()["items"]) == 1
        assert api.get("agents?swarm=qa").json()["items"] == []


class TestDefinitions:
    body = {"name": "x.y", "handler": HANDLER, "pool": "io", "schema": {"type": "object"}}

    def test_defining_the_same_twice_is_one_version(self, api):
        first = api.post("task-definitions", self.body)
        again = api.post("task-definitions", self.body)

        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()
        assert actions() == ["definition.create"]

    def test_another_definition_is_the_next_version_and_the_old_one_stays(self, api):
        api.post("task-definitions", self.body)

        put = api.put("task-definitions/x.y", {"handler": HANDLER, "max_attempts": 7})

        assert put.status_code == 201
        assert put["Location"] == "/api/v1/task-definitions/x.y/versions/2"
        assert api.get("task-definitions/x.y").json()["max_attempts"] == 7
        assert api.get("task-definitions/x.y/versions/1").json()["pool"] == "io"
        versions = api.get("task-definitions/x.y/versions").json()["items"]
        assert [one["version"] for one in versions] == [2, 1]
        latest = api.get("task-definitions").json()["items"]
        assert [(one["name"], one["version"]) for one in latest] == [("x.y", 2)]

    def test_a_stale_put_is_412(self, api, problem):
        tag = api.post("task-definitions", self.body)["ETag"]
        api.put("task-definitions/x.y", {"handler": HANDLER, "max_attempts": 7})

        stale = api.put("task-definitions/x.y", {"handler": HANDLER}, If_Match=tag)
        problem(stale, 412)

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"handler": "no.such"}, "/handler"),
            ({"handler": "ansf.envelope"}, "/handler"),
            ({"schema": {"type": "no such type"}}, "/schema"),
            ({"schema": {"$ref": "http://127.0.0.1/x"}}, "/schema"),
            ({"schema": []}, "/schema"),
            ({"default_swarm": "nowhere"}, "/default_swarm"),
            ({"time_limit_seconds": 0}, "/time_limit_seconds"),
            ({"max_attempts": 101}, "/max_attempts"),
            ({"pool": "gpu"}, "/pool"),
            ({"name": "a/b"}, "/name"),
            ({"name": "a\n"}, "/name"),
        ],
    )
    def test_a_wrong_definition_is_422_and_names_the_field(self, api, problem, change, field):
        told = problem(api.post("task-definitions", {**self.body, **change}), 422)

        assert field in [error["field"] for error in told["errors"]]
        assert TaskDefinition.objects.count() == 0

    def test_a_disabled_version_takes_no_tasks(self, api, definition, problem):
        switched = api.patch("task-definitions/demo.add/versions/1", {"enabled": False})

        assert switched.json()["enabled"] is False
        problem(api.post("tasks", {"definition": "demo.add", "payload": {"x": 1}}), 422)
        assert actions() == ["definition.disable"]

    def test_a_definition_that_tasks_refer_to_is_409(self, api, submitted, problem):
        submitted()

        problem(api.delete("task-definitions/demo.add"), 409)
        problem(api.delete("task-definitions/demo.add/versions/1"), 409)

    def test_a_definition_that_a_schedule_refers_to_is_409(self, api, schedule, problem):
        problem(api.delete("task-definitions/demo.add"), 409)

    def test_an_unused_definition_is_removed(self, api, definition):
        assert api.delete("task-definitions/demo.add").status_code == 204
        assert actions() == ["definition.delete"]


class TestSchedules:
    def test_a_schedule_is_armed_when_it_is_made(self, schedule):
        assert schedule["next_at"] is not None
        assert schedule["swarm"] is None

    def test_a_change_of_timing_arms_it_anew(self, api, schedule):
        changed = api.patch("schedules/nightly", {"cron": "", "interval_seconds": 60}).json()

        assert changed["interval_seconds"] == 60
        assert changed["next_at"] != schedule["next_at"]
        assert changed["revision"] == 2
        assert actions() == ["schedule.create", "schedule.update"]

    def test_pause_and_resume(self, api, schedule):
        assert api.post("schedules/nightly/pause").json()["next_at"] is None
        assert api.post("schedules/nightly/resume").json()["next_at"] is not None
        assert actions()[1:] == ["schedule.pause", "schedule.resume"]

    def test_running_now_submits_its_task(self, api, schedule):
        response = api.post("schedules/nightly/run")

        assert response.status_code == 202
        assert Task.objects.get(pk=response.json()["id"]).payload == {"x": 1}
        assert response["Location"].endswith(response.json()["id"])
        assert actions()[-1] == "schedule.run"

    def test_a_schedule_whose_payload_is_wrong_cannot_run(self, api, schedule, problem):
        api.patch("schedules/nightly", {"payload": {}})

        problem(api.post("schedules/nightly/run"), 422)

    @pytest.mark.parametrize(
        "change",
        [
            {"cron": "every day"},
            {"cron": ""},
            {"interval_seconds": 60},
            {"interval_seconds": 0.5, "cron": ""},
            {"timezone": "Mars/Olympus"},
            {"timezone": "../../etc/passwd"},
            {"timezone": ""},
            {"definition": "no.such"},
            {"swarm": "nowhere"},
            {"priority": 11},
            {"catch_up": "maybe"},
            {"name": "a b"},
        ],
    )
    def test_a_wrong_schedule_is_422(self, api, definition, problem, change):
        body = {"name": "n", "definition": "demo.add", "cron": "* * * * *", **change}

        problem(api.post("schedules", body), 422)
        assert Schedule.objects.count() == 0

    def test_removal_leaves_its_tasks(self, api, schedule):
        api.post("schedules/nightly/run")

        assert api.delete("schedules/nightly").status_code == 204
        assert Task.objects.count() == 1

    def test_its_firings_are_listed(self, api, schedule):
        Schedule.objects.get().firings.create(due_at=timezone.now(), skipped="still running")

        firing = api.get("schedules/nightly/firings").json()["items"][0]
        assert (firing["task"], firing["skipped"]) == (None, "still running")

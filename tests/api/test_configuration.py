"""Swarms, agents, definitions, schedules and lanes: made, changed, switched, removed."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.utils import timezone

from ansf_platform.accounts.models import AuditEntry
from coordination.models import Agent, Lane, Schedule, Status, Swarm, Task, TaskDefinition

pytestmark = pytest.mark.django_db

HANDLER = "tests.api.add"  # registered by conftest
ONE = {"name": "a", "definition": "demo.add"}


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


class TestLanes:
    def test_a_halted_lane_goes_on_when_its_head_is_skipped(self, api, submitted, problem):
        first, second = submitted(lane="orders/1"), submitted(lane="orders/1")
        lane = api.get("lanes?key=orders/1").json()["items"][0]
        assert (lane["waiting"], lane["halted"]) == (2, False)
        assert api.get(f"lanes/{lane['id']}").json()["head"] == first
        problem(api.post(f"lanes/{lane['id']}/skip"), 409)
        Task.objects.filter(pk=first).update(status=Status.DEAD)
        Lane.objects.update(halted=True)
        Lane.objects.get()
        from_lane = api.post(f"lanes/{lane['id']}/skip")

        assert from_lane.status_code == 200
        assert from_lane.json()["halted"] is False
        assert second != first
        assert actions()[-1] == "lane.skip"

    def test_what_a_dead_head_does_is_changed(self, api, submitted):
        submitted(lane="a")
        lane = api.get("lanes").json()["items"][0]

        changed = api.patch(f"lanes/{lane['id']}", {"on_dead": "skip"}).json()
        assert (changed["on_dead"], changed["revision"]) == ("skip", 2)


class TestRuns:
    def body(self, **change):
        nodes = [
            {"name": "a", "definition": "demo.add", "payload": {"x": 1}},
            {"name": "b", "definition": "demo.add", "payload": {"x": 2}, "priority": 9},
        ]
        return {"name": "r", "nodes": nodes, "edges": [{"parent": "a", "child": "b"}], **change}

    def test_a_run_is_submitted_shown_and_cancelled(self, api, definition, problem):
        made = api.post("runs", self.body())
        assert made.status_code == 202

        shown = api.get(made["Location"].removeprefix("/api/v1/")).json()
        assert shown["status"] == "running"
        assert [(n["name"], n["status"], n["parents"]) for n in shown["nodes"]] == [
            ("a", "ready", []),
            ("b", "blocked", ["a"]),
        ]
        assert len(api.get(f"tasks?run={shown['id']}").json()["items"]) == 2
        assert [r["id"] for r in api.get("runs?name=r").json()["items"]] == [shown["id"]]

        api.post(f"runs/{shown['id']}/cancel")
        assert api.get(f"runs/{shown['id']}").json()["status"] == "cancelled"
        problem(api.post(f"runs/{shown['id']}/cancel"), 409)
        assert actions() == ["run.submit", "run.cancel"]

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"edges": [{"parent": "a", "child": "b"}, {"parent": "b", "child": "a"}]}, None),
            ({"edges": [{"parent": "a", "child": "c"}]}, "/edges/0"),
            ({"edges": [{"parent": "a", "child": "a"}]}, None),
            ({"nodes": []}, "/nodes"),
            ({"nodes": [{**ONE, "definition": "no"}], "edges": []}, "/nodes/0/definition"),
            ({"nodes": [ONE], "edges": []}, "/nodes/0/payload"),
            ({"name": ""}, "/name"),
            ({"nodes": [5]}, "/nodes/0"),
        ],
    )  # fmt: skip
    def test_a_wrong_graph_is_422_and_stores_nothing(self, api, definition, problem, change, field):
        told = problem(api.post("runs", self.body(**change)), 422)

        assert field is None or field in [error["field"] for error in told["errors"]]
        assert Task.objects.count() == 0


class TestDeadLetters:
    def dead(self, submitted, number, reason="ValueError"):
        ids = [submitted() for _ in range(number)]
        Task.objects.filter(pk__in=ids).update(
            status=Status.DEAD, reason=reason, finished_at=timezone.now()
        )
        return ids

    def test_dead_letters_are_listed_by_error(self, api, submitted):
        self.dead(submitted, 2)
        self.dead(submitted, 1, "OSError")

        assert len(api.get("dead-letters").json()["items"]) == 3
        found = api.get("dead-letters?error_type=OSError&ended_after=2001-01-01T00:00:00Z")
        assert [item["reason"] for item in found.json()["items"]] == ["OSError"]

    def test_replay_by_id_tells_what_became_of_each(self, api, submitted):
        dead, ready, unknown = self.dead(submitted, 1)[0], submitted(), str(uuid4())

        response = api.post("dead-letters/replay", {"ids": [dead, ready, unknown]})

        assert response.status_code == 202
        assert response.json()["outcomes"] == {
            dead: "replayed",
            ready: "not_ended",
            unknown: "missing",
        }
        assert actions()[-1] == "dead.replay"

    def test_replay_by_filter_is_bounded_and_says_if_there_is_more(self, api, submitted):
        self.dead(submitted, 3)
        self.dead(submitted, 1, "OSError")
        body = {"filter": {"error_type": "ValueError"}, "limit": 2}

        first = api.post("dead-letters/replay", body).json()
        second = api.post("dead-letters/replay", body).json()

        assert (first["replayed"], first["more"]) == (2, True)
        assert (second["replayed"], second["more"]) == (1, False)
        assert Task.objects.filter(status=Status.DEAD).count() == 1

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"ids": []},
            {"ids": ["x"]},
            {"ids": [str(uuid4())] * 1001},
            {"ids": [str(uuid4())], "filter": {}},
            {"filter": {}, "limit": 1001},
            {"filter": {"status": "dead"}},
            {"filter": {"ended_after": "yesterday"}},
        ],
    )
    def test_a_wrong_replay_is_422(self, api, problem, body):
        problem(api.post("dead-letters/replay", body), 422)

    def test_replaying_needs_its_own_scope(self, api_with, problem):
        problem(api_with("tasks:write").post("dead-letters/replay", {"filter": {}}), 403)


def test_queues_tell_what_waits(api, submitted):
    submitted(priority=9)
    submitted(priority=2)

    items = api.get("queues?pool=cpu").json()["items"]

    assert [(item["priority"], item["ready"]) for item in items] == [(9, 1), (2, 1)]
    assert api.get("queues?pool=io").json()["items"] == []

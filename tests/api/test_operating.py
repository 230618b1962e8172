"""Lanes, runs, dead letters and queues over REST."""

from __future__ import annotations

from uuid import uuid4

import pytest

from ansf_platform.accounts.models import AuditEntry
from coordination.models import Lane, LaneEntry, Status, Task

pytestmark = pytest.mark.django_db

ONE = {"name": "a", "definition": "demo.add"}


def actions():
    return list(AuditEntry.objects.order_by("id").values_list("action", flat=True))


class TestLanes:
    def test_a_halted_lane_goes_on_when_its_head_is_skipped(self, api, submitted, problem):
        first, second = submitted(lane="orders/1"), submitted(lane="orders/1")
        lane = api.get("lanes?key=orders/1").json()["items"][0]
        assert (lane["waiting"], lane["halted"]) == (2, False)
        assert api.get(f"lanes/{lane['id']}").json()["head"] == first
        problem(api.post(f"lanes/{lane['id']}/skip"), 409)

        LaneEntry.objects.filter(task_id=first).delete()  # as when it died
        Lane.objects.update(halted=True)
        went_on = api.post(f"lanes/{lane['id']}/skip")

        assert went_on.status_code == 200
        assert (went_on.json()["halted"], went_on.json()["head"]) == (False, second)
        assert Task.objects.get(pk=second).status == Status.READY
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
    @pytest.fixture
    def dead(self, submitted, walk):
        def make(number, reason="ValueError"):
            ids = [submitted() for _ in range(number)]
            walk("dead", *ids, reason=reason)
            return ids

        return make

    def test_dead_letters_are_listed_by_error(self, api, dead):
        dead(2)
        dead(1, "OSError")

        assert len(api.get("dead-letters").json()["items"]) == 3
        found = api.get("dead-letters?error_type=OSError&ended_after=2001-01-01T00:00:00Z")
        assert [item["reason"] for item in found.json()["items"]] == ["OSError"]

    def test_replay_by_id_tells_what_became_of_each(self, api, submitted, dead):
        ended, ready, unknown = dead(1)[0], submitted(), str(uuid4())

        response = api.post("dead-letters/replay", {"ids": [ended, ready, unknown]})

        assert response.status_code == 202
        assert response.json()["outcomes"] == {
            ended: "replayed",
            ready: "not_ended",
            unknown: "missing",
        }
        assert actions()[-1] == "dead.replay"

    def test_replay_by_filter_is_bounded_and_says_if_there_is_more(self, api, dead):
        dead(3)
        dead(1, "OSError")
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

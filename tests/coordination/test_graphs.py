"""Runs: children wait for their parents, failures travel down, replay comes back up."""

from __future__ import annotations

import pytest

from coordination import lifecycle, references
from coordination.errors import Invalid
from coordination.models import Edge, RunNode, Status, Task
from coordination.references import ReferenceBroken
from coordination.runs import EdgeRequest, NodeRequest, submit_run
from tests.coordination.steps import ago, claim, die, get, plant, status, succeed


@pytest.fixture
def run(definition):
    """Submit a run from lines like ``a>b`` or ``a~b`` (``always``); its tasks by node name."""

    def submit(text, **payloads):
        arrows = text.split()
        ends = [arrow.replace("~", ">").split(">") for arrow in arrows]
        names = list(dict.fromkeys(name for pair in ends for name in pair))
        nodes = [
            NodeRequest(name=name, definition="accept", payload=payloads.get(name, {}))
            for name in names
        ]
        edges = [
            EdgeRequest(parent=p, child=c, when="always" if "~" in arrow else "success")
            for (p, c), arrow in zip(ends, arrows, strict=True)
        ]
        submit_run("r", nodes, edges)
        return dict(RunNode.objects.values_list("name", "task_id"))

    return submit


def states(tasks, names) -> list[str]:
    return [str(status(tasks[name])) for name in names]


def test_a_child_waits_for_all_its_parents(run):
    tasks = run("a>d b>d c>d")

    assert get(tasks["d"]).waiting_on == 3
    succeed(tasks["a"])
    succeed(tasks["b"])
    assert (status(tasks["d"]), get(tasks["d"]).waiting_on) == (Status.BLOCKED, 1)
    succeed(tasks["c"])
    assert (status(tasks["d"]), get(tasks["d"]).waiting_on) == (Status.READY, 0)


def test_parents_that_end_in_one_envelope_free_their_child(run):
    tasks = run("a>d b>d c>d")

    succeed(tasks["a"], tasks["b"], tasks["c"])

    assert states(tasks, "d") == ["ready"]


def test_ranks_are_longest_remaining_paths(run):
    tasks = run("a>b b>c a>c")

    assert [get(tasks[name]).rank for name in "abc"] == [3.0, 2.0, 1.0]


def test_a_failure_cancels_all_generations_below_it(run):
    tasks = run("a>b b>c c>d x>d")

    die(tasks["a"])

    assert states(tasks, "bcdx") == ["cancelled"] * 3 + ["ready"]
    assert {get(tasks[name]).reason for name in "bcd"} == {"upstream"}


@pytest.mark.parametrize("end", ["dead", "cancelled", "expired"])
def test_every_bad_end_cancels_descendants_but_those_that_run_always(run, tenant, end):
    tasks = run("a>b a~c b~d")

    if end == "dead":
        die(tasks["a"])
    elif end == "cancelled":
        lifecycle.cancel(tenant.pk, [tasks["a"]])
    else:
        plant(tasks["a"], deadline=ago(1), due_at=ago(1))
        lifecycle.expire(None)

    assert states(tasks, "abcd") == [end, "cancelled", "ready", "ready"]


def test_an_always_child_with_another_parent_still_waits_for_it(run):
    tasks = run("a~c b>c")

    die(tasks["a"])
    assert states(tasks, "c") == ["blocked"]
    succeed(tasks["b"])

    assert states(tasks, "c") == ["ready"]


def test_a_diamond_with_one_dead_side_is_cancelled_once(run):
    tasks = run("a>b a>c b>d c>d")
    succeed(tasks["a"])

    die(tasks["b"])
    succeed(tasks["c"])

    assert states(tasks, "abcd") == ["succeeded", "dead", "succeeded", "cancelled"]
    assert get(tasks["d"]).fence == 1


def test_replay_restores_descendants_and_they_run_to_the_end(run, tenant):
    tasks = run("a>b a>c b>d c>d")
    die(tasks["a"])

    assert lifecycle.replay(tenant.pk, [tasks["a"]]) == {tasks["a"]: "replayed"}

    assert states(tasks, "abcd") == ["ready", "blocked", "blocked", "blocked"]
    for name in "abcd":
        succeed(tasks[name])
    assert states(tasks, "abcd") == ["succeeded"] * 4
    assert not Edge.objects.filter(resolved=False).exists()


def test_replaying_the_middle_of_a_run_keeps_what_was_done(run, tenant):
    tasks = run("a>b b>c x>c")
    succeed(tasks["a"])
    die(tasks["b"])
    succeed(tasks["x"])

    lifecycle.replay(tenant.pk, [tasks["b"]])

    assert (get(tasks["b"]).status, get(tasks["c"]).waiting_on) == (Status.READY, 1)


def test_a_replayed_parent_does_not_run_an_always_child_twice(run, tenant):
    tasks = run("a~b")
    die(tasks["a"])
    succeed(tasks["b"])

    lifecycle.replay(tenant.pk, [tasks["a"]])
    die(tasks["a"])

    assert (status(tasks["b"]), get(tasks["b"]).fence) == (Status.SUCCEEDED, 1)


def test_a_descendant_with_another_dead_parent_waits_for_that_ones_replay(run, tenant):
    tasks = run("a>c b>c c>d")
    die(tasks["a"])
    die(tasks["b"])

    lifecycle.replay(tenant.pk, [tasks["a"]])
    assert states(tasks, "cd") == ["cancelled"] * 2  # not blocked for ever
    succeed(tasks["a"])
    lifecycle.replay(tenant.pk, [tasks["b"]])

    assert states(tasks, "cd") == ["blocked"] * 2
    succeed(tasks["b"])
    assert states(tasks, "c") == ["ready"]


def test_replaying_both_dead_parents_at_once_restores_their_child(run, tenant):
    tasks = run("a>c b>c")
    die(tasks["a"])
    die(tasks["b"])

    lifecycle.replay(tenant.pk, [tasks["a"], tasks["b"]])

    assert (status(tasks["c"]), get(tasks["c"]).waiting_on) == (Status.BLOCKED, 2)


def test_a_cancelled_descendant_that_somebody_asked_for_is_not_restored(run, tenant):
    tasks = run("a>b")
    lifecycle.cancel(tenant.pk, [tasks["b"]])
    die(tasks["a"])

    lifecycle.replay(tenant.pk, [tasks["a"]])

    assert states(tasks, "b") == ["cancelled"]


class TestReferences:
    @pytest.fixture
    def grouped(self, definition):
        """Two nodes of a group and one child that refers to what it is given."""

        def submit(payload):
            nodes = [
                NodeRequest(name="w1", definition="accept", group="windows"),
                NodeRequest(name="w0", definition="accept", group="windows"),
                NodeRequest(name="end", definition="accept", payload=payload),
            ]
            edges = [EdgeRequest(parent=name, child="end") for name in ("w0", "w1")]
            run = submit_run("r", nodes, edges)
            tasks = dict(RunNode.objects.values_list("name", "task_id"))
            succeed(tasks["w0"], result={"v": [10, {"deep": "w0"}]})
            succeed(tasks["w1"], result={"v": [11, {"deep": "w1" * 2000}]})
            return run, claim(tasks["end"]).claimed[0]

        return submit

    def test_a_node_gives_its_result_and_a_group_a_list_in_node_order(self, grouped):
        run, claimed = grouped({"one": {"$from": "w0"}, "all": [{"$from": "windows"}]})

        payload = references.resolve(run.pk, claimed.payload)

        assert claimed.has_references
        assert payload["one"] == {"v": [10, {"deep": "w0"}]}
        assert [result["v"][0] for result in payload["all"][0]] == [11, 10]

    def test_a_path_walks_into_members_and_positions(self, grouped):
        run, claimed = grouped(
            {
                "one": {"$from": "w0", "path": "v.1.deep"},
                "all": {"$from": "windows", "path": "v.0"},
            }
        )

        assert references.resolve(run.pk, claimed.payload) == {"one": "w0", "all": [11, 10]}

    @pytest.mark.parametrize("path", ["absent", "v.2", "v.x", "v.0.deeper"])
    def test_a_path_that_leads_nowhere_is_broken(self, grouped, path):
        run, claimed = grouped({"x": {"$from": "w0", "path": path}})

        with pytest.raises(ReferenceBroken, match=path.replace(".", r"\.")):
            references.resolve(run.pk, claimed.payload)

    def test_a_name_of_nothing_is_broken(self, grouped):
        run, _ = grouped({})

        with pytest.raises(ReferenceBroken, match="'gone'"):
            references.resolve(run.pk, {"x": {"$from": "gone"}})

    @pytest.mark.parametrize("target", ["c", "nothing"])
    def test_a_reference_to_no_parent_is_refused_at_submission(self, definition, target):
        nodes = [NodeRequest(name=name, definition="accept") for name in "ac"]
        nodes.append(NodeRequest(name="b", definition="accept", payload={"x": {"$from": target}}))

        with pytest.raises(Invalid, match=f"'{target}' is not a parent"):
            submit_run("r", nodes, [EdgeRequest(parent="a", child="b")])

        assert Task.objects.count() == 0


@pytest.mark.parametrize(
    ("nodes", "edges", "told"),
    [
        ("ab", "ab ba", "wait for each other"),
        ("a", "aa", "wait for each other"),
        ("aab", "", "'a' is used twice"),
        ("ab", "ax", "no node is named 'x'"),
        ("ab", "ab ab", "there twice"),
    ],
)
def test_a_graph_with_a_flaw_is_refused_whole(definition, nodes, edges, told):
    with pytest.raises(Invalid, match=told):
        submit_run(
            "r",
            [NodeRequest(name=name, definition="accept") for name in nodes],
            [EdgeRequest(parent=parent, child=child) for parent, child in edges.split()],
        )

    assert Task.objects.count() == 0

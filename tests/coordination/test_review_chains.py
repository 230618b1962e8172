"""What hangs on a task that ends badly ends in few statements, however deep the graph."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext

from coordination.lifecycle.asking import cancel
from coordination.models import RunNode, Status, Task
from coordination.runs import EdgeRequest, NodeRequest, submit_run
from tests.coordination.steps import die

LENGTH = 300
MOST_QUERIES = 25


def chain(*extra):
    nodes = [NodeRequest(name=f"n{i}", definition="accept") for i in range(LENGTH)]
    nodes += [NodeRequest(name=name, definition="accept") for name, _ in extra]
    edges = [EdgeRequest(parent=f"n{i}", child=f"n{i + 1}") for i in range(LENGTH - 1)]
    edges += [EdgeRequest(parent=parent, child=name, when="always") for name, parent in extra]
    run = submit_run("chain", nodes, edges)
    return dict(RunNode.objects.filter(run=run).values_list("name", "task_id"))


def test_a_dead_root_cancels_a_long_chain_at_once(definition):
    tasks = chain()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        die(tasks["n0"])
    assert Task.objects.filter(status=Status.CANCELLED, reason="upstream").count() == LENGTH - 1
    assert len(queries) < MOST_QUERIES


def test_whatever_waits_for_any_end_runs_after_the_chain_is_cancelled(definition, tenant):
    tasks = chain(("cleanup", "n200"), ("report", "n0"))
    cancel(tenant.pk, [tasks["n0"]])
    ready = Task.objects.filter(status=Status.READY).values_list("id", flat=True)
    assert set(ready) == {tasks["cleanup"], tasks["report"]}
    assert Task.objects.filter(status=Status.CANCELLED).count() == LENGTH

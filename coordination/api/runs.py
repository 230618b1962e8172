"""Runs: a graph of tasks, submitted whole, its state derived from them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from ansf_platform.operations import Query, operation
from ansf_platform.pagination import PAGING
from ansf_platform.problems import ProblemError
from ansf_platform.schemas import (
    anything,
    array,
    choice,
    define,
    integer,
    moment,
    nullable,
    number,
    page_of,
    parse_moment,
    record,
    ref,
    slug,
    text,
    uuid,
)
from coordination import lifecycle, selectors
from coordination.api.endpoint import CoordinationEndpoint
from coordination.api.task_schemas import DEFINITION_NAME, PRIORITY
from coordination.errors import Invalid, ItemError
from coordination.models import TERMINAL, RunNode, Status
from coordination.models import Run as RunRow
from coordination.runs import MAX_NODES, EdgeRequest, NodeRequest, submit_run

MAX_EDGES = 100_000
NAME = text(100, shortest=1)
RUN_NODE = define(
    "RunNodeNew",
    record(
        {"name": NAME, "definition": DEFINITION_NAME},
        {
            "payload": anything(
                description='A value may be {"$from": "node or group", "path": "a.b"}.'
            ),
            "swarm": nullable(slug()),
            "priority": nullable(PRIORITY),
            "group": text(100, description="Nodes that can be referred to together."),
            "version": nullable(integer(1, 2**31 - 1)),
            "deadline": nullable(moment()),
            "expected_seconds": nullable(number(0, 1e9)),
        },
    ),
)
RUN_EDGE = define(
    "RunEdge",
    record({"parent": NAME, "child": NAME}, {"when": choice("success", "always")}),
)
RUN_NEW = define(
    "RunNew",
    record(
        {"name": NAME, "nodes": array(ref(RUN_NODE), most=MAX_NODES, minItems=1)},
        {"edges": array(ref(RUN_EDGE), most=MAX_EDGES)},
    ),
)
_SUMMARY = {
    "id": uuid(),
    "name": text(100),
    "nodes_total": integer(),
    "created_at": moment(),
}
RUN_SUMMARY = define("RunSummary", record(_SUMMARY))
RUNS = page_of(RUN_SUMMARY)
NODE_STATE = define(
    "RunNodeState",
    record(
        {
            "name": text(100),
            "group": text(100),
            "task": uuid(),
            "status": choice(*Status.values, "pruned"),
            "waiting_on": integer(),
            "parents": array({"type": "string"}),
        }
    ),
)
RUN = define(
    "Run",
    record(
        {
            **_SUMMARY,
            "status": choice("running", "succeeded", "failed", "cancelled"),
            "counts": {
                "type": "object",
                "description": "Tasks per status.",
                "additionalProperties": integer(),
            },
            "started_at": nullable(moment()),
            "finished_at": nullable(moment()),
            "nodes": array(ref(NODE_STATE)),
        }
    ),
)
RUN_CANCEL = define(
    "RunCancellation",
    record({"cancelled": integer(), "requested": integer(), "finished": integer()}),
)


def render(run: RunRow) -> dict[str, Any]:
    """A run of a list: its state would cost a look at every task."""
    return {name: getattr(run, name) for name in _SUMMARY}


def render_whole(run: RunRow) -> dict[str, Any]:
    """A run with the state of every node."""
    state = selectors.run_state(run)
    return {
        **render(run),
        "status": state.status,
        "counts": state.counts,
        "started_at": state.started_at,
        "finished_at": state.finished_at,
        "nodes": [
            {
                "name": node.name,
                "group": node.group,
                "task": node.task_id,
                "status": node.status,
                "waiting_on": node.waiting_on,
                "parents": list(node.parents),
            }
            for node in state.nodes
        ],
    }


class Runs(CoordinationEndpoint):
    """The runs of a tenant."""

    @operation(
        "List runs, newest first",
        scope="tasks:read",
        query=(Query("name", NAME), *PAGING),
        answers={200: RUNS},
    )
    def get(self, request: Request) -> Response:
        rows = RunRow.objects.filter(tenant=self.tenant)
        if self.query["name"] is not None:
            rows = rows.filter(name=self.query["name"])
        return self.page(rows, render)

    @operation(
        "Submit a run",
        scope="tasks:write",
        description="All of the graph or none of it: cycles and unknown names are refused.",
        body=RUN_NEW,
        answers={202: RUN_SUMMARY},
    )
    def post(self, request: Request) -> Response:
        nodes = [_node(given) for given in self.body["nodes"]]
        edges = [EdgeRequest(**given) for given in self.body.get("edges", [])]
        try:
            run = submit_run(self.body["name"], nodes, edges, tenant=self.tenant, by=self.submitter)
        except Invalid as error:
            raise Invalid(_at_node(one) for one in error.errors) from error
        self.record("run.submit", "run", run.pk, name=run.name, nodes=len(nodes))
        return Response(render(run), 202, headers={"Location": f"/api/v1/runs/{run.pk}"})


def _node(given: dict[str, Any]) -> NodeRequest:
    fields = {name: value for name, value in given.items() if value is not None}
    for name in ("priority", "version"):
        if name in fields:
            fields[name] = int(fields[name])
    if "deadline" in fields:
        fields["deadline"] = parse_moment(fields["deadline"])
    return NodeRequest(**fields)


def _at_node(error: ItemError) -> ItemError:
    """An error of a node's task, told at the node's place in the body."""
    if error.index is None or error.field.startswith("/nodes"):
        return error
    return ItemError(error.index, f"/nodes/{error.index}{error.field}", error.message)


class Run(CoordinationEndpoint):
    """One run."""

    @operation("Show a run and its nodes", scope="tasks:read", answers={200: RUN})
    def get(self, request: Request, run_id: UUID) -> Response:
        return Response(render_whole(selectors.run(self.tenant, run_id)))


class RunCancellation(CoordinationEndpoint):
    """Ending what is left of a run."""

    @operation(
        "Cancel a run",
        scope="tasks:write",
        description="Its waiting tasks at once, its running ones by telling their handlers.",
        answers={200: RUN_CANCEL},
    )
    def post(self, request: Request, run_id: UUID) -> Response:
        run = selectors.run(self.tenant, run_id)
        ids = list(RunNode.objects.filter(run=run).values_list("task_id", flat=True))
        open_ = selectors.tasks(self.tenant, run=run_id).exclude(status__in=TERMINAL)
        left = list(open_.values_list("pk", flat=True))
        if not left:
            raise ProblemError(409, "the run has ended already: nothing was cancelled")
        outcomes = list(lifecycle.cancel(self.tenant.pk, left).values())
        counts = {name: outcomes.count(name) for name in ("cancelled", "requested")}
        self.record("run.cancel", "run", run_id, **counts)
        return Response({**counts, "finished": len(ids) - sum(counts.values())})

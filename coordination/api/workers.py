"""What runs and what waits: worker processes, leases, queues."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from ansf_platform.operations import Query, operation
from ansf_platform.schemas import (
    anything,
    array,
    boolean,
    choice,
    define,
    integer,
    moment,
    nullable,
    record,
    ref,
    text,
)
from coordination import selectors
from coordination.api.endpoint import CoordinationEndpoint
from coordination.errors import NotFound
from coordination.models import Pool, WorkerNode

_SUMMARY = {
    "id": integer(1),
    "name": text(200),
    "pool": choice(*Pool.values),
    "hostname": text(200),
    "pid": integer(),
    "alive": boolean(description="Its lease has not expired."),
    "draining": boolean(),
    "concurrency": integer(),
    "free_slots": integer(),
    "running": integer(description="Tasks it has claimed."),
    "stuck": integer(description="Threads past their hard limit."),
    "rss_bytes": nullable(integer()),
    "beat_at": moment(),
    "lease_expires_at": moment(),
    "started_at": moment(),
}
WORKER_SUMMARY = define("WorkerSummary", record(_SUMMARY))
LEASE = define(
    "Lease",
    record(
        {
            "name": text(50),
            "holder": text(200),
            "term": integer(),
            "elected_at": moment(),
            "renewed_at": moment(),
            "expires_at": moment(),
        }
    ),
)
WORKERS = define(
    "Workers",
    record({"items": array(ref(WORKER_SUMMARY)), "leases": array(ref(LEASE))}),
)
WORKER = define(
    "Worker", record({**_SUMMARY, "handlers": array({"type": "string"}), "versions": anything()})
)
QUEUE = define(
    "Queue",
    record(
        {
            "pool": choice(*Pool.values),
            "priority": integer(0, 9),
            "ready": integer(),
            "dispatched": integer(),
            "oldest_ready_seconds": nullable({"type": "number"}),
        }
    ),
)
QUEUES = define("Queues", record({"items": array(ref(QUEUE))}))


def render(view: selectors.WorkerView) -> dict[str, Any]:
    """A worker as JSON; whose tasks it runs is nobody else's business."""
    told = {name: getattr(view.node, name) for name in _SUMMARY if hasattr(view.node, name)}
    return {**told, "alive": view.alive, "running": view.running}


def render_lease(lease: Any) -> dict[str, Any]:
    """Who leads what, and until when."""
    names = ("name", "holder", "term", "elected_at", "renewed_at", "expires_at")
    return {name: getattr(lease, name) for name in names}


class Workers(CoordinationEndpoint):
    """The worker processes of the platform."""

    @operation(
        "List workers and leases",
        scope="workers:read",
        description="Workers are shared by all tenants; those that left are not listed.",
        query=(Query("pool", choice(*Pool.values)), Query("alive", boolean())),
        answers={200: WORKERS},
    )
    def get(self, request: Request) -> Response:
        views = selectors.live_workers()
        if self.query["pool"] is not None:
            views = [view for view in views if view.node.pool == self.query["pool"]]
        if self.query["alive"] is not None:
            views = [view for view in views if view.alive == self.query["alive"]]
        leases = [render_lease(lease) for lease in selectors.leases()]
        return Response({"items": [render(view) for view in views], "leases": leases})


class Worker(CoordinationEndpoint):
    """One worker process."""

    @operation("Show a worker", scope="workers:read", answers={200: WORKER})
    def get(self, request: Request, worker_id: int) -> Response:
        view = next((one for one in selectors.live_workers() if one.node.pk == worker_id), None)
        if view is None:
            node = WorkerNode.objects.filter(pk=worker_id).first()
            if node is None:
                raise NotFound(f"there is no worker {worker_id}")
            view = selectors.WorkerView(node, alive=False, running=0)
        more = {"handlers": view.node.handlers, "versions": view.node.versions}
        return Response({**render(view), **more})


class Queues(CoordinationEndpoint):
    """What waits, per pool and priority."""

    @operation(
        "List queues",
        scope="tasks:read",
        description="This tenant's tasks that are ready or handed to the broker.",
        query=(Query("pool", choice(*Pool.values)),),
        answers={200: QUEUES},
    )
    def get(self, request: Request) -> Response:
        pool = self.query["pool"]
        depths = selectors.queue_depths(self.tenant)
        names = ("pool", "priority", "ready", "dispatched", "oldest_ready_seconds")
        items = [
            {name: getattr(depth, name) for name in names}
            for depth in depths
            if pool in {None, depth.pool}
        ]
        return Response({"items": items})

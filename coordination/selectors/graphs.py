"""Reads of runs: their nodes, and the state that follows from their tasks."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ansf_platform.accounts.models import Tenant
from coordination.errors import NotFound
from coordination.models import TERMINAL, Edge, Run, RunNode, Status, Task


def run(tenant: Tenant, run_id: UUID) -> Run:
    """One run. Raises :class:`NotFound`."""
    found = Run.objects.filter(tenant=tenant, id=run_id).first()
    if found is None:
        raise NotFound(f"no run has the id {run_id}")
    return found


@dataclass(frozen=True, slots=True)
class NodeState:
    """Where one node of a run stands."""

    name: str
    group: str
    task_id: UUID
    status: str
    waiting_on: int
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run stands, derived from its tasks."""

    status: str
    counts: dict[str, int]
    nodes: list[NodeState]
    started_at: datetime | None
    finished_at: datetime | None


def run_state(run: Run) -> RunState:
    """The state of every node, and of the run: running, succeeded, failed or cancelled."""
    nodes = list(RunNode.objects.filter(run=run).order_by("position"))
    columns = ("id", "status", "waiting_on", "started_at", "finished_at")
    by_id = {t.id: t for t in Task.objects.filter(id__in=[n.task_id for n in nodes]).only(*columns)}
    names = {node.task_id: node.name for node in nodes}
    parents: dict[UUID, list[str]] = defaultdict(list)
    for edge in Edge.objects.filter(child_id__in=list(names)).order_by("id"):
        parents[edge.child_id].append(names[edge.parent_id])
    known = [by_id[node.task_id] for node in nodes if node.task_id in by_id]
    counts = Counter(str(found.status) for found in known)
    ended = all(found.status in TERMINAL for found in known)
    finishes = [found.finished_at for found in known if found.finished_at]
    return RunState(
        _run_status(counts, ended=ended),
        dict(counts),
        [
            NodeState(
                node.name,
                node.group,
                node.task_id,
                str(by_id[node.task_id].status) if node.task_id in by_id else "pruned",
                by_id[node.task_id].waiting_on if node.task_id in by_id else 0,
                tuple(parents[node.task_id]),
            )
            for node in nodes
        ],
        min((found.started_at for found in known if found.started_at), default=None),
        max(finishes, default=None) if ended else None,
    )


def _run_status(counts: Counter[str], *, ended: bool) -> str:
    if not ended:
        return "running"
    if counts[Status.DEAD] or counts[Status.EXPIRED]:
        return "failed"
    return "cancelled" if counts[Status.CANCELLED] else "succeeded"

"""Submitting a graph of tasks: all of it or none of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from ansf_platform.accounts.models import DEFAULT_TENANT, Tenant
from ansf_platform.text import is_storable
from coordination import rows, sql
from coordination.admission import paid
from coordination.catalogue import Catalogue
from coordination.errors import Invalid, ItemError
from coordination.models import Edge, Run, RunNode, Status
from coordination.pipeline.graph import Arrow, find_flaws, upward_ranks
from coordination.requests import NOBODY, Submitter, TaskRequest
from coordination.rows import NewTask
from coordination.submission import draft, resolve_tenant, store

MAX_NODES = 10_000
MAX_NAME = 100  # characters
REFERENCE = "$from"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRequest:
    """A task of a run. Nodes of one group can be referred to together."""

    name: str
    definition: str
    payload: dict[str, Any] = field(default_factory=dict)
    swarm: str | None = None
    priority: int | None = None
    group: str = ""
    version: int | None = None
    deadline: datetime | None = None
    expected_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeRequest:
    """`child` waits for `parent` to succeed, or (``always``) to end."""

    parent: str
    child: str
    when: Literal["success", "always"] = "success"


@sql.retrying
def submit_run(
    name: str,
    nodes: Sequence[NodeRequest],
    edges: Sequence[EdgeRequest],
    *,
    tenant: Tenant | str = DEFAULT_TENANT,
    by: Submitter = NOBODY,
) -> Run:
    """Check a graph, rank its tasks by their longest remaining path, and store it whole.

    Raises :class:`Invalid` naming each flaw: cycles, unknown names, bad payloads, references
    to nodes that are not among a node's ancestors; :class:`Limited` if a policy refuses it.
    """
    with sql.atomic():
        owner = resolve_tenant(tenant)
        errors = _flaws(name, nodes, edges)
        if errors:
            raise Invalid(errors)
        now = rows.database_now()
        catalogue = Catalogue(owner, by)
        drafts, errors = draft(catalogue, [_request(node) for node in nodes], now)
        if errors:
            raise Invalid(errors)
        with paid(catalogue, drafts, partial=False):
            named = {"tenant": owner, "name": name, "created_at": now}
            run = Run.objects.create(nodes_total=len(nodes), **named)
            tasks = {node.name: drafts[index] for index, node in enumerate(nodes)}
            _place(run, nodes, edges, tasks)
            _link(run, nodes, edges, tasks)
            store(list(tasks.values()), owner.pk, now)
        return run


def _request(node: NodeRequest) -> TaskRequest:
    return TaskRequest(
        definition=node.definition,
        payload=node.payload,
        version=node.version,
        swarm=node.swarm,
        priority=node.priority,
        deadline=node.deadline,
    )


def _flaws(
    name: str, nodes: Sequence[NodeRequest], edges: Sequence[EdgeRequest]
) -> list[ItemError]:
    errors = []
    if not (0 < len(name) <= MAX_NAME and is_storable(name)):
        errors.append(ItemError(None, "/name", f"must have 1 to {MAX_NAME} characters"))
    if not 0 < len(nodes) <= MAX_NODES:
        errors.append(ItemError(None, "/nodes", f"must be 1 to {MAX_NODES}, not {len(nodes)}"))
        return errors
    for index, node in enumerate(nodes):
        for label in ("name", "group"):
            value = getattr(node, label)
            if not (len(value) <= MAX_NAME and is_storable(value) and (value or label == "group")):
                message = f"must have 1 to {MAX_NAME} characters"
                errors.append(ItemError(index, f"/nodes/{index}/{label}", message))
        if node.expected_seconds is not None and not 0 <= node.expected_seconds < float("inf"):
            message = "must be 0 or more"
            errors.append(ItemError(index, f"/nodes/{index}/expected_seconds", message))
    arrows = [Arrow(edge.parent, edge.child) for edge in edges]
    for flaw in find_flaws([node.name for node in nodes], arrows):
        where = "/nodes" if flaw.edge is None else f"/edges/{flaw.edge}"
        errors.append(ItemError(None, where, flaw.message))
    return errors or _reference_flaws(nodes, arrows)


def _reference_flaws(nodes: Sequence[NodeRequest], arrows: Sequence[Arrow]) -> list[ItemError]:
    """A reference must name a parent, or a group all of whose nodes are parents."""
    parents: dict[str, set[str]] = {node.name: set() for node in nodes}
    for arrow in arrows:
        parents[arrow.child].add(arrow.parent)
    groups: dict[str, set[str]] = {}
    for node in nodes:
        if node.group:
            groups.setdefault(node.group, set()).add(node.name)
    errors = []
    for index, node in enumerate(nodes):
        for target in sorted(set(references_in(node.payload))):
            wanted = {target} if target in parents else groups.get(target, {target})
            missing = sorted(wanted - parents[node.name])
            if missing:
                message = f"refers to {target!r}, but {missing[0]!r} is not a parent of this node"
                errors.append(ItemError(index, f"/nodes/{index}/payload", message))
    return errors


def references_in(value: Any) -> list[str]:
    """The names that ``{"$from": name}`` members of a payload refer to."""
    if isinstance(value, dict):
        if isinstance(value.get(REFERENCE), str):
            return [value[REFERENCE]]
        return [name for member in value.values() for name in references_in(member)]
    if isinstance(value, list):
        return [name for member in value for name in references_in(member)]
    return []


def _place(
    run: Run,
    nodes: Sequence[NodeRequest],
    edges: Sequence[EdgeRequest],
    tasks: Mapping[str, NewTask],
) -> None:
    """Give each task its run, its rank and the number of parents it waits for."""
    parents = Counter(edge.child for edge in edges)
    seconds = {
        node.name: 1.0 if node.expected_seconds is None else node.expected_seconds for node in nodes
    }
    ranks = upward_ranks([Arrow(edge.parent, edge.child) for edge in edges], seconds)
    for name, task in tasks.items():
        task.run_id = run.pk
        task.rank = ranks[name]
        task.waiting_on = parents[name]
        if parents[name]:
            task.status = Status.BLOCKED


def _link(
    run: Run,
    nodes: Sequence[NodeRequest],
    edges: Sequence[EdgeRequest],
    tasks: Mapping[str, NewTask],
) -> None:
    RunNode.objects.bulk_create(
        RunNode(
            run=run,
            name=node.name,
            group=node.group,
            position=position,
            task_id=tasks[node.name].id,
        )
        for position, node in enumerate(nodes)
    )
    Edge.objects.bulk_create(
        Edge(
            run=run,
            parent_id=tasks[edge.parent].id,
            child_id=tasks[edge.child].id,
            when=edge.when,
        )
        for edge in edges
    )

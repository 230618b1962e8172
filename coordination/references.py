"""``{"$from": "node", "path": "a.b"}`` in a payload, replaced by results when it is claimed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Q

from coordination import bodies
from coordination.models import RunNode, Task, TaskBody
from coordination.runs import REFERENCE, references_in


class ReferenceBroken(LookupError):
    """A reference names nothing, or its path leads nowhere; the message says which."""


def resolve(run_id: UUID, payload: Any) -> Any:
    """The payload with every reference replaced.

    A node gives its result, a group the list of its results in node order; `path` walks into
    each (member names and list positions, separated by dots). Raises :class:`ReferenceBroken`.
    """
    names = set(references_in(payload))
    nodes = list(
        RunNode.objects.filter(Q(name__in=names) | Q(group__in=names), run_id=run_id).order_by(
            "position"
        )
    )
    results = _results([node.task_id for node in nodes])
    found: dict[str, Any] = {}
    for node in nodes:
        if node.name in names:
            found[node.name] = results.get(node.task_id)
    for name in names - set(found):
        members = [node for node in nodes if node.group == name]
        if not members:
            raise ReferenceBroken(f"no node and no group of this run is called {name!r}")
        found[name] = [results.get(node.task_id) for node in members]
    groups = {name for name in names if any(node.group == name for node in nodes)} - {
        node.name for node in nodes
    }
    return _replace(payload, found, groups)


def _results(task_ids: Sequence[UUID]) -> dict[UUID, Any]:
    tasks = Task.objects.filter(id__in=task_ids).only("id", "result", "result_bytes")
    results = {task.id: task.result for task in tasks}
    large = [task.id for task in tasks if task.result_bytes > bodies.INLINE_BYTES]
    results.update(bodies.read(TaskBody.Kind.RESULT, large) if large else {})
    return results


def _replace(value: Any, found: Mapping[str, Any], groups: set[str]) -> Any:
    if isinstance(value, dict):
        name = value.get(REFERENCE)
        if isinstance(name, str):
            path = str(value.get("path", ""))
            if name in groups:
                return [_walk(member, path, name) for member in found[name]]
            return _walk(found[name], path, name)
        return {key: _replace(member, found, groups) for key, member in value.items()}
    if isinstance(value, list):
        return [_replace(member, found, groups) for member in value]
    return value


def _walk(value: Any, path: str, name: str) -> Any:
    for step in filter(None, path.split(".")):
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ReferenceBroken(f"the result of {name!r} has no {path!r}") from error
    return value

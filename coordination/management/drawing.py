"""A graph of tasks as lines of text: each node once, under its first parent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

MARKS = {
    "succeeded": "✔",
    "dead": "✘",
    "cancelled": "⊘",
    "expired": "⊘",
    "running": "▶",
    "dispatched": "▷",
    "ready": "●",
    "scheduled": "◔",
    "blocked": "○",
}
MAX_LINES = 500


class Node(Protocol):
    """What is drawn of a node."""

    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def parents(self) -> Sequence[str]: ...


def draw(nodes: Sequence[Node]) -> Iterator[str]:
    """A tree by first parents; further parents are named behind the node.

    A graph has no lines that could cross here, so it stays readable at any width.
    """
    children: dict[str, list[Node]] = {}
    roots = []
    for node in nodes:
        if node.parents:
            children.setdefault(node.parents[0], []).append(node)
        else:
            roots.append(node)
    stack = [(node, "", "") for node in reversed(roots)]
    drawn = 0
    while stack:  # not recursive: a chain may be 10 000 nodes long
        node, lead, indent = stack.pop()
        drawn += 1
        if drawn > MAX_LINES:
            yield f"… and {len(nodes) - MAX_LINES} more; --json has all"
            return
        yield f"{lead}{_label(node)}"
        below = children.get(node.name, [])
        for position, child in reversed(list(enumerate(below))):
            is_last = position == len(below) - 1
            branch, trunk = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
            stack.append((child, indent + branch, indent + trunk))


def _label(node: Node) -> str:
    others = f"  (after {', '.join(node.parents[1:])} too)" if len(node.parents) > 1 else ""
    return f"{MARKS.get(node.status, '?')} {node.name}  {node.status}{others}"

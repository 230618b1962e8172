"""Strongly connected components (Tarjan 1972), without recursion."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

Vertex = TypeVar("Vertex", bound=Hashable)


def components(edges: Mapping[Vertex, Sequence[Vertex]]) -> dict[Vertex, int]:
    """A number for each vertex; two have the same when each can be reached from the other."""
    order: dict[Vertex, int] = {}
    lowest: dict[Vertex, int] = {}
    group: dict[Vertex, int] = {}
    path: list[Vertex] = []
    work: list[tuple[Vertex, Iterator[Vertex]]] = []

    def enter(vertex: Vertex) -> None:
        order[vertex] = lowest[vertex] = len(order)
        path.append(vertex)
        work.append((vertex, iter(edges[vertex])))

    def leave(vertex: Vertex) -> None:
        work.pop()
        if work:
            parent = work[-1][0]
            lowest[parent] = min(lowest[parent], lowest[vertex])
        while lowest[vertex] == order[vertex] and vertex not in group:
            group[path.pop()] = order[vertex]

    for start in edges:
        if start not in order:
            enter(start)
        while work:
            vertex, targets = work[-1]
            for target in targets:
                if target not in order:
                    enter(target)
                    break
                if target not in group:
                    lowest[vertex] = min(lowest[vertex], order[target])
            else:
                leave(vertex)
    return group

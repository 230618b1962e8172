"""The shape of a run: checked for mistakes, ranked by its longest remaining path.

Pure: names and numbers in, names and numbers out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with a graph, and with which edge (by position) or node (by name)."""

    message: str
    edge: int | None = None
    node: str | None = None


@dataclass(frozen=True, slots=True)
class Arrow:
    """`child` waits for `parent`."""

    parent: str
    child: str


def find_flaws(nodes: Sequence[str], arrows: Sequence[Arrow]) -> list[Flaw]:
    """Every duplicate name, unknown end, doubled edge, and one cycle where there is any."""
    flaws = [
        Flaw(f"the name {name!r} is used twice", node=name)
        for name in sorted(name for name, count in Counter(nodes).items() if count > 1)
    ]
    known, seen = set(nodes), set[Arrow]()
    for index, arrow in enumerate(arrows):
        flaws.extend(
            Flaw(f"no node is named {end!r}", edge=index)
            for end in (arrow.parent, arrow.child)
            if end not in known
        )
        if arrow in seen:
            flaws.append(Flaw(f"{arrow.parent} → {arrow.child} is there twice", edge=index))
        seen.add(arrow)
    if not flaws and (cycle := _cycle(nodes, arrows)):
        flaws.append(Flaw(f"these wait for each other: {' → '.join(cycle)}"))
    return flaws


def sort_topologically(nodes: Iterable[str], arrows: Iterable[Arrow]) -> list[str]:
    """Parents before children; nodes on a cycle are left out (Kahn 1962)."""
    waiting = dict.fromkeys(nodes, 0)
    children: dict[str, list[str]] = defaultdict(list)
    for arrow in arrows:
        waiting[arrow.child] += 1
        children[arrow.parent].append(arrow.child)
    order = [name for name, count in waiting.items() if count == 0]
    for name in order:
        for child in children[name]:
            waiting[child] -= 1
            if waiting[child] == 0:
                order.append(child)
    return order


def _cycle(nodes: Sequence[str], arrows: Sequence[Arrow]) -> list[str]:
    """One cycle, its first node repeated at the end; empty when there is none."""
    left = set(nodes) - set(sort_topologically(nodes, arrows))
    if not left:
        return []
    # Every node left has a parent that is left: walking up must come round.
    parent = {a.child: a.parent for a in arrows if a.parent in left and a.child in left}
    name, seen = min(left), dict[str, int]()
    while name not in seen:
        seen[name] = len(seen)
        name = parent[name]
    loop = [*list(seen)[seen[name] :], name]
    return loop[::-1]


def upward_ranks(arrows: Sequence[Arrow], seconds: Mapping[str, float]) -> dict[str, float]:
    """Each node's longest remaining path in seconds, itself included (HEFT, Topcuoglu 2002).

    `seconds` holds every node with its expected run time.
    """
    children: dict[str, list[str]] = defaultdict(list)
    for arrow in arrows:
        children[arrow.parent].append(arrow.child)
    ranks: dict[str, float] = {}
    for name in reversed(sort_topologically(seconds, arrows)):
        ranks[name] = seconds[name] + max((ranks[c] for c in children[name]), default=0.0)
    return ranks

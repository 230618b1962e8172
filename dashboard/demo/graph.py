"""The graph of tasks for some series: see the diagram of this package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from coordination.runs import EdgeRequest, NodeRequest, references_in
from dashboard.demo.windows import Cutting, digest, standardise

# Rough, from one core of a laptop; only their order of magnitude matters for the ranks.
_SECONDS = {
    "demo.cut": 0.002,
    "demo.verify": 0.002,
    "features.embed": 0.005,
    "attractor.analyze": 0.02,
    "dtw.nearest": 0.01,
    "demo.compare": 0.02,
    "demo.flag": 0.002,
    "demo.summarise": 0.002,
}


def build(cuttings: Iterable[Cutting]) -> tuple[list[NodeRequest], list[EdgeRequest]]:
    """Nodes, and an edge for every result that a node's payload refers to."""
    nodes = [node for cutting in cuttings for node in _nodes(cutting)]
    groups: dict[str, list[str]] = {}
    for node in nodes:
        groups.setdefault(node.group or node.name, []).append(node.name)
    edges = [
        EdgeRequest(parent=parent, child=node.name)
        for node in nodes
        for target in dict.fromkeys(references_in(node.payload))
        for parent in groups.get(target, [target])
    ]
    return nodes, edges


def name_of(cutting: Cutting, step: str, index: int) -> str:
    """The node that does `step` for a window."""
    return f"{cutting.series.key}/{step}/{index:02d}"


def summary_of(cutting: Cutting) -> str:
    """The last node of a series."""
    return f"{cutting.series.key}/summarise"


def _nodes(cutting: Cutting) -> Iterator[NodeRequest]:
    for index in range(len(cutting.starts)):
        yield from _of_window(cutting, index)
    key = cutting.series.key
    yield _node(
        f"{key}/compare",
        "demo.compare",
        {
            "distances": _result(f"{key}/nearest", "distances.0"),
            "vectors": _result(f"{key}/embed", "vector"),
            "kinds": _result(f"{key}/analyse", "kind"),
            "starts": list(cutting.starts),
            "length": cutting.length,
        },
    )
    yield _node(
        summary_of(cutting),
        "demo.summarise",
        {
            "flags": _result(f"{key}/flag"),
            "digests": _result(f"{key}/verify", "digest"),
            "usual": _result(f"{key}/compare"),
        },
    )


def _of_window(cutting: Cutting, index: int) -> Iterator[NodeRequest]:
    raw = cutting.window(index)
    expected = digest(standardise(raw, cutting.mean, cutting.deviation))
    samples = _samples(cutting, index)
    apart = cutting.apart(index)
    payloads: dict[str, tuple[str, dict[str, Any]]] = {
        "cut": (
            "demo.cut",
            {"samples": raw, "mean": cutting.mean, "deviation": cutting.deviation},
        ),
        "verify": ("demo.verify", {"samples": samples, "expected": expected}),
        "embed": ("features.embed", {"series": samples}),
        "analyse": ("attractor.analyze", {"series": samples}),
        "nearest": (
            "dtw.nearest",
            {
                "query": samples,
                "candidates": [_samples(cutting, other) for other in apart],
                "window": cutting.band,
            },
        ),
        "flag": ("demo.flag", _flag(cutting, index, apart)),
    }
    for step, (definition, payload) in payloads.items():
        group = f"{cutting.series.key}/{step}"
        yield _node(name_of(cutting, step, index), definition, payload, group)


def _flag(cutting: Cutting, index: int, apart: list[int]) -> dict[str, Any]:
    nearest = name_of(cutting, "nearest", index)
    return {
        "index": index,
        "distance": _result(nearest, "distances.0"),
        "nearest": _result(nearest, "indices.0"),
        "kind": _result(name_of(cutting, "analyse", index), "kind"),
        "usual": _result(f"{cutting.series.key}/compare"),
        "apart": apart,
    }


def _node(name: str, definition: str, payload: dict[str, Any], group: str = "") -> NodeRequest:
    return NodeRequest(
        name=name,
        definition=definition,
        payload=payload,
        group=group,
        expected_seconds=_SECONDS[definition],
    )


def _samples(cutting: Cutting, index: int) -> dict[str, str]:
    return _result(name_of(cutting, "cut", index), "samples")


def _result(node: str, path: str = "") -> dict[str, str]:
    return {"$from": node, "path": path} if path else {"$from": node}

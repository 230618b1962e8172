"""Why a trace violates a formula: the first position, the samples that show it, and which part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.temporal_logic.formula import Formula, as_formula
from kernels.temporal_logic.trace import Trace, as_rows, run
from kernels.temporal_logic.tree import Node, Operation, names_in
from kernels.temporal_logic.words import Kind

Truths = Mapping[int, NDArray[np.bool_]]

_AHEAD = {Kind.EVENTUALLY, Kind.ALWAYS, Kind.NEXT, Kind.WEAK_NEXT}
_BEHIND = {Kind.ONCE, Kind.HISTORICALLY, Kind.PREVIOUS, Kind.WEAK_PREVIOUS}
_SOME = {Kind.EVENTUALLY, Kind.ONCE, Kind.NEXT, Kind.PREVIOUS}
_STEPS = {Kind.NEXT, Kind.WEAK_NEXT, Kind.PREVIOUS, Kind.WEAK_PREVIOUS}


@dataclass(frozen=True, slots=True)
class Explanation:
    """One cause of a violation, as deep in the formula as one part alone is to blame."""

    index: int
    """The position at which the part is false (or true, under a negation)."""
    interval: tuple[int, int]
    """The first and last sample that show it."""
    subformula: str
    truth: bool
    """What the part is at `index`, and should not have been."""
    path: tuple[str, ...]
    """The parts from the whole formula down to this one."""
    values: dict[str, float]
    """The signals of the part at `index`."""


def explain(formula: Formula | str, trace: Trace) -> Explanation | None:
    """The first violation of a formula by a finite trace, or None when it is satisfied.

    Under `G` it is the first position at which its operand fails, in `a -> b` it is b, in `a & b`
    the first that fails. Where several parts share the blame (`a | b`) the whole is named.
    """
    parsed = as_formula(formula)
    signals = as_rows(parsed, trace)
    case = _Case(parsed, _truths(parsed, signals), signals.shape[1])
    if case.true(parsed.tree, 0):
        return None
    node, index, interval = case.blame(parsed.tree, 0)
    rows = {name: row for (name, _), row in parsed.columns.items()}
    return Explanation(
        index=index,
        interval=interval,
        subformula=case.text(node),
        truth=case.true(node, index),
        path=tuple(case.text(part) for part in case.path),
        values={name: float(signals[rows[name], index]) for name, _ in names_in(node)},
    )


def _truths(formula: Formula, signals: NDArray[np.float64]) -> Truths:
    """The truth of every part at every position, by the part's identity."""
    parts: dict[int, int] = {}
    stack: list[Node] = [formula.tree]
    while stack:
        node = stack.pop()
        parts[id(node)] = formula.pool.translate(node)
        stack += node.operands if isinstance(node, Operation) else ()
    values = run(formula, formula.program(list(parts.values()), boolean=True), signals) > 0
    return dict(zip(parts, values, strict=True))


Blame = tuple[Node, int, tuple[int, int]]


class _Case:
    """One trace and the truth of all parts on it."""

    def __init__(self, formula: Formula, truths: Truths, length: int) -> None:
        self.formula = formula
        self.truths = truths
        self.length = length
        self.path: list[Node] = []

    def text(self, node: Node) -> str:
        start, end = node.span
        return self.formula.text[start:end] or str(node)

    def true(self, node: Node, t: int) -> bool:
        return bool(self.truths[id(node)][t])

    def blame(self, node: Node, t: int) -> Blame:
        """Who made the node what it is at t: an operand alone, or the node itself."""
        self.path.append(node)
        if not isinstance(node, Operation):
            return node, t, (t, t)
        if node.kind in {Kind.NOT, Kind.AND, Kind.OR, Kind.IMPLIES}:
            return self._joined(node, t)
        if node.kind in _AHEAD | _BEHIND:
            return self._window(node, t)
        if node.kind in {Kind.UNTIL, Kind.WEAK_UNTIL, Kind.RELEASE} and not self.true(node, t):
            return self._chain(node, t)
        return node, t, self._extent(node, t)

    def _joined(self, node: Operation, t: int) -> Blame:
        """One operand is enough for a false `and`, a true `or`, or a true implication."""
        if node.kind is Kind.NOT:
            return self.blame(node.operands[0], t)
        if node.kind is Kind.IMPLIES:
            condition, conclusion = node.operands
            return self.blame(conclusion if self.true(condition, t) else condition, t)
        deciding = node.kind is Kind.OR
        alone = [part for part in node.operands if self.true(part, t) is deciding]
        return self.blame(alone[0], t) if alone else (node, t, self._extent(node, t))

    def _window(self, node: Operation, t: int) -> Blame:
        """The first position that decides the window, or the window."""
        begin, end = self._reach(node, t)
        operand = self.truths[id(node.operands[0])][begin : end + 1]
        deciding = self.true(node, t)
        found = np.flatnonzero(operand == deciding)
        alone = begin == end or deciding is (node.kind in _SOME)
        if alone and found.size:
            return self.blame(node.operands[0], begin + int(found[0]))
        return node, t, (begin, end) if begin <= end else (t, t)

    def _reach(self, node: Operation, t: int) -> tuple[int, int]:
        """The window of positions, first to last, cut at both ends of the trace."""
        low, high = (1, 1) if node.kind in _STEPS else (node.low, node.high)
        far = self.length if high is None else high
        if node.kind in _BEHIND:
            return max(0, t - far), t - low
        return t + low, min(self.length - 1, t + far)

    def _chain(self, node: Operation, t: int) -> Blame:
        """Where the first operand gave up before the second came, or all of the wait."""
        begin, end = self._reach(node, t)
        first, second = (self.truths[id(part)] for part in node.operands)
        if node.kind is Kind.RELEASE:
            found = np.flatnonzero(~second[begin : end + 1])
            return self.blame(node.operands[1], begin + int(found[0]))
        failed = np.flatnonzero(~first[t : end + 1] & ~second[t : end + 1])
        if failed.size:
            return node, t + int(failed[0]), (t, t + int(failed[0]))
        return node, t, (t, max(t, end))

    def _extent(self, node: Operation, t: int) -> tuple[int, int]:
        """All samples that the node may depend on at t."""
        before, after = _reach_of(node, self.length)
        return max(0, t - before), min(self.length - 1, t + after)


def _reach_of(node: Node, length: int) -> tuple[int, int]:
    """How many samples back and ahead a value may depend on, at most the trace's length."""
    if not isinstance(node, Operation):
        return 0, 0
    parts = [_reach_of(part, length) for part in node.operands]
    before, after = max(b for b, _ in parts), max(a for _, a in parts)
    own = 1 if node.kind in _STEPS | {Kind.RISE, Kind.FALL} else node.high
    far = length if own is None else own
    if node.kind in _BEHIND | {Kind.SINCE, Kind.TRIGGER, Kind.RISE, Kind.FALL}:
        before += far
    elif node.kind not in {Kind.NOT, Kind.AND, Kind.OR, Kind.IMPLIES, Kind.IFF, Kind.XOR}:
        after += far
    return min(length, before), min(length, after)

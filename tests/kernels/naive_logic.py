"""The meaning of every operator by its definition, over the written tree: values or truth.

Nothing is shared with the kernels but the classes of the tree.
"""

from __future__ import annotations

import math
import operator

from kernels.temporal_logic.tree import (
    Arithmetic,
    Comparison,
    Number,
    Operation,
    Proposition,
    Signal,
    Truth,
)
from kernels.temporal_logic.words import Kind

_SIGNS = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}


def expression(node, signals, t):
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Signal):
        return float(signals[node.name][t])
    assert isinstance(node, Arithmetic)
    parts = [expression(part, signals, t) for part in node.operands]
    if node.operator == "abs":
        return abs(parts[0])
    ways = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
    return ways[node.operator](*parts)


def margin(node, signals, t):
    left, right = expression(node.left, signals, t), expression(node.right, signals, t)
    if node.operator in {"<", "<="}:
        return right - left
    if node.operator == "==":
        return -abs(left - right)
    return abs(left - right) if node.operator == "!=" else left - right


def truth(node, signals, n):
    """±inf at each position."""

    def leaf(node, t):
        return truth_of_leaf(node, signals, t)

    return [evaluate(node, t, n, leaf) for t in range(n)]


def truth_of_leaf(node, signals, t):
    if isinstance(node, Proposition):
        return math.inf if signals[node.name][t] > 0 else -math.inf
    left, right = expression(node.left, signals, t), expression(node.right, signals, t)
    return math.inf if _SIGNS[node.operator](left, right) else -math.inf


def robustness(node, signals, n):
    def leaf(node, t):
        if isinstance(node, Proposition):
            value = signals[node.name][t]
            return (math.inf if value else -math.inf) if isinstance(value, bool) else float(value)
        return margin(node, signals, t)

    return [evaluate(node, t, n, leaf) for t in range(n)]


def on_lasso(node, signals, start):
    """Truth at position 0 of the endless word that goes on from its end at `start`."""
    n = len(next(iter(signals.values())))
    known = {}

    def leaf(node, t):
        return truth_of_leaf(node, signals, place(t))

    def place(t):
        return t if t < n else start + (t - start) % (n - start)

    def value(node, t):
        key = id(node), place(t)
        if key not in known:
            known[key] = step(node, place(t), math.inf, leaf, value, 2 * n)
        return known[key]

    return value(node, 0) > 0


def evaluate(node, t, n, leaf):
    """The value of a node at position t of n."""
    known = {}

    def value(node, t):
        if (id(node), t) not in known:
            known[id(node), t] = step(node, t, n, leaf, value, n)
        return known[id(node), t]

    return value(node, t)


def step(node, t, n, leaf, at, far):  # noqa: C901, PLR0911, PLR0912 - one case for each operator
    """A node from its operands' values; `far` stands for a missing upper bound."""
    if isinstance(node, Truth):
        return math.inf if node.value else -math.inf
    if isinstance(node, Proposition | Comparison):
        return leaf(node, t)
    assert isinstance(node, Operation)
    kind, parts = node.kind, node.operands
    low, high = node.low, far + node.low if node.high is None else node.high
    ahead = [k for k in range(t + low, t + high + 1) if k < n]
    behind = [k for k in range(t - low, t - high - 1, -1) if k >= 0]
    match kind:
        case Kind.NOT:
            return -at(parts[0], t)
        case Kind.AND:
            return min(at(part, t) for part in parts)
        case Kind.OR:
            return max(at(part, t) for part in parts)
        case Kind.IMPLIES:
            return max(-at(parts[0], t), at(parts[1], t))
        case Kind.IFF | Kind.XOR:
            a, b = at(parts[0], t), at(parts[1], t)
            same = min(max(-a, b), max(-b, a))
            return same if kind is Kind.IFF else -same
        case Kind.NEXT:
            return at(parts[0], t + 1) if t + 1 < n else -math.inf
        case Kind.WEAK_NEXT:
            return at(parts[0], t + 1) if t + 1 < n else math.inf
        case Kind.PREVIOUS:
            return at(parts[0], t - 1) if t > 0 else -math.inf
        case Kind.WEAK_PREVIOUS:
            return at(parts[0], t - 1) if t > 0 else math.inf
        case Kind.RISE:
            return min(-at(parts[0], t - 1) if t > 0 else math.inf, at(parts[0], t))
        case Kind.FALL:
            return min(at(parts[0], t - 1) if t > 0 else math.inf, -at(parts[0], t))
        case Kind.EVENTUALLY | Kind.ONCE:
            where = ahead if kind is Kind.EVENTUALLY else behind
            return max((at(parts[0], k) for k in where), default=-math.inf)
        case Kind.ALWAYS | Kind.HISTORICALLY:
            where = ahead if kind is Kind.ALWAYS else behind
            return min((at(parts[0], k) for k in where), default=math.inf)
        case Kind.UNTIL | Kind.SINCE:
            return chain(parts, t, ahead if kind is Kind.UNTIL else behind, at, +1)
        case Kind.RELEASE | Kind.TRIGGER:
            return chain(parts, t, ahead if kind is Kind.RELEASE else behind, at, -1)
        case Kind.WEAK_UNTIL:
            whole = [k for k in range(t, t + high + 1) if k < n]
            always = min((at(parts[0], k) for k in whole), default=math.inf)
            return max(always, chain(parts, t, ahead, at, +1))
    assert kind is Kind.STRONG_RELEASE
    whole = [k for k in range(t, t + high + 1) if k < n]
    eventually = max((at(parts[0], k) for k in whole), default=-math.inf)
    return min(eventually, chain(parts, t, ahead, at, -1))


def chain(parts, t, where, at, sign):
    """Until for sign +1; for -1 its dual, by negating both operands and the result."""
    best = -math.inf
    for k in where:
        way = range(t, k) if k >= t else range(k + 1, t + 1)
        held = min((sign * at(parts[0], i) for i in way), default=math.inf)
        best = max(best, min(held, sign * at(parts[1], k)))
    return sign * best

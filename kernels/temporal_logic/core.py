"""The same formula in fourteen operators, negations at the atoms, equal parts shared.

Everything is monotone here: a formula is minima and maxima of literals over windows. So one
program computes truth (±1), robustness and its bounds, and sets of nodes are states of an
automaton. Each rule keeps the value at every position of a finite trace, robustness included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from kernels.temporal_logic.tree import Comparison, Node, Number, Operation, Proposition, Truth
from kernels.temporal_logic.words import Kind

Atom = Proposition | Comparison

_FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}
_NEGATED = {"<": ">=", "<=": ">", "!=": "=="}
DUAL = {
    "and": "or",
    "or": "and",
    "true": "false",
    "false": "true",
    "F": "G",
    "G": "F",
    "U": "R",
    "R": "U",
    "O": "H",
    "H": "O",
    "S": "T",
    "T": "S",
}
FUTURE = frozenset("FGUR")
PAST = frozenset("OHST")
EXISTS = frozenset("FUOS")
"""Operators that need a position: false where their window holds none; their duals are true."""


class Row(NamedTuple):
    """One node: its operator, operands (indices), window in samples, and a literal's atom."""

    kind: str
    operands: tuple[int, ...] = ()
    low: int = 0
    high: int | None = None
    atom: int = -1
    positive: bool = True


class Pool:
    """The nodes of one formula; an index names a node, and equal nodes have one index."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.atoms: list[Atom] = []
        self._index: dict[Row, int] = {}
        self._atom_index: dict[Atom, int] = {}
        self._translated: dict[tuple[int, bool], int] = {}
        self.false = self.intern(Row("false"))
        self.true = self.intern(Row("true"))

    def intern(self, row: Row) -> int:
        """The index of a row, as it is."""
        if row not in self._index:
            self._index[row] = len(self.rows)
            self.rows.append(row)
        return self._index[row]

    def translate(self, node: Node, *, positive: bool = True) -> int:
        """The index of a written formula, or of its negation."""
        key = id(node), positive
        if key not in self._translated:
            self._translated[key] = self._translate(node, positive)
        return self._translated[key]

    def _translate(self, node: Node, positive: bool) -> int:  # noqa: FBT001
        if isinstance(node, Truth):
            return self.true if node.value is positive else self.false
        if isinstance(node, Operation):
            return _RULES[node.kind](self, node, positive)
        atom, upright = _normal(node)
        if atom not in self._atom_index:
            self._atom_index[atom] = len(self.atoms)
            self.atoms.append(atom)
        return self.intern(
            Row("literal", atom=self._atom_index[atom], positive=upright is positive)
        )

    def join(self, kind: str, parts: tuple[int, ...]) -> int:
        """`and` or `or` of nodes: flat, without doubles and constants, in order of index."""
        neutral, absorbing = (self.true, self.false) if kind == "and" else (self.false, self.true)
        flat: set[int] = set()
        for part in parts:
            row = self.rows[part]
            flat.update(row.operands if row.kind == kind else (part,))
        flat.discard(neutral)
        if absorbing in flat:
            return absorbing
        if len(flat) < 2:
            return flat.pop() if flat else neutral
        return self.intern(Row(kind, tuple(sorted(flat))))

    def window(self, kind: str, operand: int, low: int, high: int | None) -> int:
        """F, G, O or H over [low, high]; nested windows of one kind are added up."""
        empty, full = (self.false, self.true) if kind in EXISTS else (self.true, self.false)
        if operand == empty or (operand == full and low == 0):
            return operand
        if (low, high) == (0, 0):
            return operand
        row = self.rows[operand]
        if row.kind == kind:
            ends = None if high is None or row.high is None else high + row.high
            return self.window(kind, row.operands[0], low + row.low, ends)
        return self.intern(Row(kind, (operand,), low, high))

    def chain(self, kind: str, parts: tuple[int, ...], low: int, high: int | None) -> int:
        """U, R, S or T: the second operand within [low, high], the first on the way."""
        first, second = parts
        empty, full = (self.false, self.true) if kind in EXISTS else (self.true, self.false)
        if second == empty or (second == full and low == 0) or (low, high) == (0, 0):
            return second
        if first == full:
            return self.window({"U": "F", "R": "G", "S": "O", "T": "H"}[kind], second, low, high)
        if first == empty:
            return second if low == 0 else empty
        return self.intern(Row(kind, parts, low, high))

    def horizon(self, index: int) -> int | None:
        """How many samples ahead the value may depend on; None without a bound."""
        return self._reach(index, FUTURE)

    def history(self, index: int) -> int | None:
        """How many samples back the value may depend on; None without a bound."""
        return self._reach(index, PAST)

    def _reach(self, root: int, kinds: frozenset[str]) -> int | None:
        """How far the windows of these kinds reach together: each node is looked at once."""
        far: dict[int, int | None] = {}
        for index in self.reachable(root):
            row = self.rows[index]
            below = [far[part] for part in row.operands]
            own = row.high if row.kind in kinds else 0
            bounded = [part for part in below if part is not None]
            endless = own is None or len(bounded) < len(below)
            far[index] = None if endless else max(bounded, default=0) + (own or 0)
        return far[root]

    def reachable(self, *roots: int) -> list[int]:
        """All nodes under the roots, operands first."""
        seen: dict[int, None] = {}
        stack = [(root, False) for root in reversed(roots)]
        while stack:
            index, done = stack.pop()
            if index in seen:
                continue
            if done:
                seen[index] = None
                continue
            stack.append((index, True))
            stack += [(part, False) for part in self.rows[index].operands]
        return list(seen)

    def has(self, index: int, kinds: frozenset[str]) -> bool:
        """Whether one of the operators occurs in the node."""
        return any(self.rows[part].kind in kinds for part in self.reachable(index))


def _normal(atom: Atom) -> tuple[Atom, bool]:
    """An atom as `signal (> >= ==) something`, and whether it is affirmed: x < 5 denies x >= 5."""
    if isinstance(atom, Proposition):
        return Proposition(atom.name), True
    operator, left, right = atom.operator, atom.left, atom.right
    if isinstance(left, Number) and not isinstance(right, Number):
        operator, left, right = _FLIPPED[operator], right, left
    denied = _NEGATED.get(operator)
    return Comparison(denied or operator, left, right), denied is None


_Rule = Callable[[Pool, Operation, bool], int]


def _parts(pool: Pool, node: Operation, positive: bool) -> tuple[int, ...]:  # noqa: FBT001
    return tuple(pool.translate(part, positive=positive) for part in node.operands)


def _not(pool: Pool, node: Operation, positive: bool) -> int:  # noqa: FBT001
    return pool.translate(node.operands[0], positive=not positive)


def _joined(kind: str) -> _Rule:
    def rule(pool: Pool, node: Operation, positive: bool) -> int:  # noqa: FBT001
        return pool.join(kind if positive else DUAL[kind], _parts(pool, node, positive))

    return rule


def _implies(pool: Pool, node: Operation, positive: bool) -> int:  # noqa: FBT001
    condition = pool.translate(node.operands[0], positive=not positive)
    conclusion = pool.translate(node.operands[1], positive=positive)
    return pool.join("or" if positive else "and", (condition, conclusion))


def _equal(affirmed: bool) -> _Rule:  # noqa: FBT001
    def rule(pool: Pool, node: Operation, positive: bool) -> int:  # noqa: FBT001
        first, second = _parts(pool, node, True)
        no_first, no_second = _parts(pool, node, False)
        if positive is affirmed:
            ways = pool.join("or", (no_first, second)), pool.join("or", (no_second, first))
            return pool.join("and", ways)
        ways = pool.join("and", (first, no_second)), pool.join("and", (no_first, second))
        return pool.join("or", ways)

    return rule


def _window(kind: str, step: int | None = None) -> _Rule:
    def rule(pool: Pool, node: Operation, positive: bool) -> int:  # noqa: FBT001
        low, high = (node.low, node.high) if step is None else (step, step)
        operand = pool.translate(node.operands[0], positive=positive)
        return pool.window(kind if positive else DUAL[kind], operand, low, high)

    return rule


def _chained(kind: str) -> _Rule:
    def rule(pool: Pool, node: Operation, positive: bool) -> int:  # noqa: FBT001
        first, second = _parts(pool, node, positive)
        return pool.chain(kind if positive else DUAL[kind], (first, second), node.low, node.high)

    return rule


def _weak(strong: bool) -> _Rule:  # noqa: FBT001
    """G W h = (G[0,b] g) | (g U[a,b] h), and its dual g M h = (F[0,b] g) & (g R[a,b] h)."""

    def rule(pool: Pool, node: Operation, positive: bool) -> int:  # noqa: FBT001
        parts = first, second = _parts(pool, node, positive)
        whole, chain, join = ("F", "R", "and") if strong is positive else ("G", "U", "or")
        if (node.low, node.high) == (0, None):
            both = pool.join(join, (first, second))
            return pool.chain(DUAL[chain], (second, both), 0, None)
        throughout = pool.window(whole, first, 0, node.high)
        return pool.join(join, (throughout, pool.chain(chain, parts, node.low, node.high)))

    return rule


def _edge(rising: bool) -> _Rule:  # noqa: FBT001
    """rise(p) = p & !Y p; fall(p) = !p & Z p."""

    def rule(pool: Pool, node: Operation, positive: bool) -> int:  # noqa: FBT001
        before = pool.translate(node.operands[0], positive=rising is not positive)
        now = pool.translate(node.operands[0], positive=rising is positive)
        was = pool.window("H" if positive else "O", before, 1, 1)
        return pool.join("and" if positive else "or", (was, now))

    return rule


_RULES: dict[Kind, _Rule] = {
    Kind.NOT: _not,
    Kind.AND: _joined("and"),
    Kind.OR: _joined("or"),
    Kind.IMPLIES: _implies,
    Kind.IFF: _equal(affirmed=True),
    Kind.XOR: _equal(affirmed=False),
    Kind.NEXT: _window("F", 1),
    Kind.WEAK_NEXT: _window("G", 1),
    Kind.EVENTUALLY: _window("F"),
    Kind.ALWAYS: _window("G"),
    Kind.UNTIL: _chained("U"),
    Kind.RELEASE: _chained("R"),
    Kind.WEAK_UNTIL: _weak(strong=False),
    Kind.STRONG_RELEASE: _weak(strong=True),
    Kind.PREVIOUS: _window("O", 1),
    Kind.WEAK_PREVIOUS: _window("H", 1),
    Kind.ONCE: _window("O"),
    Kind.HISTORICALLY: _window("H"),
    Kind.SINCE: _chained("S"),
    Kind.TRIGGER: _chained("T"),
    Kind.RISE: _edge(rising=True),
    Kind.FALL: _edge(rising=False),
}

"""What is left to be satisfied after one more sample, as sets of obligations.

A *cube* is a set of nodes that must all hold from the next position on; a formula is the
disjunction of its cubes. One sample turns a cube into *terms*: if these literals hold now, that
cube remains (the alternating automaton of the formula without its alternation, Gastin & Oddoux
2001). The same table answers for truth, for the emptiness of what may follow, and with margins
in place of truth values for robustness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from kernels.temporal_logic.core import EXISTS, Pool, Row

Cube = frozenset[int]
Literals = frozenset[int]


class Term(NamedTuple):
    """If all of `now` hold at this sample, `later` must hold from the next on.

    `kept` are the unbounded eventualities that were fulfilled rather than put off.
    """

    now: Literals
    later: Cube
    kept: Cube


MAX_WORK = 1_000_000
"""Pairs of terms joined or compared (some seconds): building cannot be interrupted."""

_SIDE_BY_SIDE = 8
"""Nodes of a large cube that take as long as a pair of ordinary terms."""


class TooLarge(ValueError):
    """A formula whose automaton exceeds the limits."""


class Progression:
    """The cubes of one formula. `is_literal` says which nodes are judged now, not taken apart."""

    def __init__(self, pool: Pool, is_literal: Callable[[int], bool], limit: int) -> None:
        self.pool = pool
        self.is_literal = is_literal
        self.limit = limit
        self._terms: dict[int, tuple[Term, ...]] = {}
        self._of_cubes: dict[tuple[int, ...], tuple[Term, ...]] = {}
        self._ends: dict[int, bool] = {}
        self._work = 0

    def explore(self, root: int) -> dict[Cube, tuple[Term, ...]]:
        """Every cube that can be reached from the root's, with its terms."""
        start = frozenset({root})
        found: dict[Cube, tuple[Term, ...]] = {}
        waiting = [start]
        while waiting:
            cube = waiting.pop()
            if cube in found:
                continue
            found[cube] = self._cube(cube)
            waiting += [term.later for term in found[cube]]
            if len(found) > self.limit:
                raise TooLarge(
                    f"the formula needs more than {self.limit} sets of obligations; shorten its "
                    "intervals or judge its parts one by one"
                )
        return found

    def ends_well(self, cube: Cube) -> bool:
        """Whether the trace may end here: eventualities need a position, their duals do not."""
        return all(self._at_end(node) for node in cube)

    def _at_end(self, node: int) -> bool:
        if node not in self._ends:
            row = self.pool.rows[node]
            if row.kind in {"and", "or"}:
                parts = [self._at_end(part) for part in row.operands]
                self._ends[node] = all(parts) if row.kind == "and" else any(parts)
            else:
                open_ = row.kind in {"G", "R"} and not self.is_literal(node)
                self._ends[node] = row.kind == "true" or open_
        return self._ends[node]

    def _cube(self, cube: Cube) -> tuple[Term, ...]:
        """All of its nodes at once; cubes with equal beginnings share the work."""
        nodes = tuple(sorted(cube))
        terms = self._of_cubes.get(nodes)
        if terms is not None:
            return terms
        terms = (Term(frozenset(), frozenset(), frozenset()),)
        for length, node in enumerate(nodes, 1):
            beginning = nodes[:length]
            if beginning not in self._of_cubes:
                self._of_cubes[beginning] = self._both(terms, self._progress(node))
            terms = self._of_cubes[beginning]
        return terms

    def _progress(self, node: int) -> tuple[Term, ...]:
        if node not in self._terms:
            self._terms[node] = self._taken_apart(node, self.pool.rows[node])
        return self._terms[node]

    def _taken_apart(self, node: int, row: Row) -> tuple[Term, ...]:
        if row.kind == "true":
            return (Term(frozenset(), frozenset(), frozenset()),)
        if row.kind == "false":
            return ()
        if self.is_literal(node):
            return (Term(frozenset({node}), frozenset(), frozenset()),)
        if row.kind in {"and", "or"}:
            join = self._both if row.kind == "and" else self._either
            terms = self._progress(row.operands[0])
            for part in row.operands[1:]:
                terms = join(terms, self._progress(part))
            return terms
        return self._temporal(node, row)

    def _temporal(self, node: int, row: Row) -> tuple[Term, ...]:
        """F and U: reached now, or on the way and put off. G and R: the dual."""
        exists = row.kind in EXISTS
        meet, join = (self._both, self._either) if exists else (self._either, self._both)
        later = self._later(row)
        rest = self._obliged(later) if later is not None else None
        if len(row.operands) == 2 and rest is not None:
            rest = meet(self._progress(row.operands[0]), rest)
        if row.low > 0:
            return rest or ()
        now = self._progress(row.operands[-1])
        if exists and row.high is None:
            now = tuple(term._replace(kept=term.kept | {node}) for term in now)
        return now if rest is None else join(now, rest)

    def _later(self, row: Row) -> int | None:
        """The same operator seen from the next position; None when its window is over."""
        if row.high == 0:
            return None
        high = None if row.high is None else row.high - 1
        return self.pool.intern(row._replace(low=max(0, row.low - 1), high=high))

    @staticmethod
    def _obliged(node: int) -> tuple[Term, ...]:
        return (Term(frozenset(), frozenset({node}), frozenset()),)

    def _either(self, first: tuple[Term, ...], second: tuple[Term, ...]) -> tuple[Term, ...]:
        return self._without_dominated({*first, *second})

    def _both(self, first: tuple[Term, ...], second: tuple[Term, ...]) -> tuple[Term, ...]:
        self._count(len(first) * len(second))
        return self._without_dominated(
            {
                Term(a.now | b.now, self.strongest(a.later | b.later), a.kept | b.kept)
                for a in first
                for b in second
            }
        )

    def _without_dominated(self, terms: Iterable[Term]) -> tuple[Term, ...]:
        """Terms that ask for no more than another and keep no less make that one superfluous."""
        kept: list[Term] = []
        for term in sorted(terms, key=_size):
            self._count(len(kept))
            if not any(self._dominates(other, term) for other in kept):
                kept = [other for other in kept if not self._dominates(term, other)]
                kept.append(term)
        return tuple(kept)

    def _count(self, pairs: int) -> None:
        self._work += pairs
        if self._work > MAX_WORK:
            raise TooLarge(
                "the parts of the formula can be fulfilled together in too many ways; judge them "
                "one by one"
            )

    def _dominates(self, better: Term, term: Term) -> bool:
        return (
            better.now <= term.now
            and better.kept >= term.kept
            and self.follows(term.later, better.later)
        )

    def follows(self, strong: Cube, weak: Cube) -> bool:
        """Whether a cube's obligations include another's, as far as one can see at once."""
        missing = weak - strong
        self._count(len(missing) * len(strong) // _SIDE_BY_SIDE)
        return all(any(self._implies(node, wanted) for node in strong) for wanted in missing)

    def strongest(self, cube: Cube) -> Cube:
        """The cube without what the rest of it implies: F[0,3] p makes F[0,5] p superfluous."""
        if len(cube) < 2:
            return cube
        self._count(len(cube) // _SIDE_BY_SIDE)
        alike: dict[tuple[str, tuple[int, ...]], list[int]] = {}
        for node in cube:
            row = self.pool.rows[node]
            alike.setdefault((row.kind, row.operands), []).append(node)
        superfluous = {
            node
            for group in alike.values()
            for node in group
            if any(other != node and self._implies(other, node) for other in group)
        }
        return cube - superfluous if superfluous else cube

    def _implies(self, first: int, second: int) -> bool:
        """Equal operators on equal operands, where one window is within the other."""
        a, b = self.pool.rows[first], self.pool.rows[second]
        if a.kind != b.kind or a.operands != b.operands or a.kind not in {"F", "G", "U", "R"}:
            return False
        if a.kind in EXISTS:
            inner, outer = a, b
        else:
            inner, outer = b, a
        ends = outer.high is None or (inner.high is not None and inner.high <= outer.high)
        if a.kind in {"U", "R"}:
            return ends and inner.low == outer.low
        return ends and inner.low >= outer.low


def _size(term: Term) -> tuple[int, int, int]:
    return len(term.now) + len(term.later), -len(term.kept), 0

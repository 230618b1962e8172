"""A formula as a deterministic table: what every finite trace has decided, and what it may yet.

Bauer, Leucker & Schallhart (2011): a prefix makes the formula false when none of the cubes that
it leaves can be satisfied by going on for ever, and true when that holds of the negation's. A
cube can be satisfied when it reaches a cycle on which every eventuality is fulfilled or absent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.temporal_logic.alphabet import Alphabet, History
from kernels.temporal_logic.components import components
from kernels.temporal_logic.core import EXISTS, FUTURE, PAST, Pool
from kernels.temporal_logic.progression import Cube, Progression, Term, TooLarge

MAX_CUBES = 3000
MAX_STATES = 20_000
MAX_STEPS = 400_000
"""Transitions computed (some seconds): building cannot be interrupted, so it must be bounded."""

State = tuple[int, int, int]
"""The history, the cubes that are left of the formula, and those of its negation."""

_DECIDED = -1

FALSE, PRESUMABLY_FALSE, PRESUMABLY_TRUE, TRUE = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Automaton:
    """States are numbers, 0 the first; `table[state, letter]` is the next."""

    alphabet: Alphabet
    table: NDArray[np.int32]
    outcome: NDArray[np.int8]
    """FALSE … TRUE for a trace that has led here."""
    decidable: NDArray[np.bool_]
    """Whether some continuation leads to FALSE or TRUE."""

    @property
    def monitorable(self) -> bool:
        """Whether a verdict can still be reached after whatever trace."""
        return bool(self.decidable.all())


def build(pool: Pool, root: int, negated: int) -> Automaton:
    """The automaton of a root and its negation. Raises TooLarge above the limits."""
    return _Builder(pool, root, negated).build()


class _Side:
    """The cubes of a formula by number; a set of cubes is the bits of one integer."""

    def __init__(self, pool: Pool, root: int) -> None:
        self.progression = Progression(
            pool, lambda node: pool.rows[node].kind in PAST | {"literal"}, MAX_CUBES
        )
        self.terms = self.progression.explore(root)
        self.cubes = list(self.terms)
        self.numbers = {cube: number for number, cube in enumerate(self.cubes)}
        self.start = 1 << self.numbers[frozenset({root})]
        self.living: dict[int, int] = {}
        """For each state of the history, the cubes that can be satisfied from there."""
        self._after: dict[tuple[int, frozenset[int]], int] = {}
        self._reduced: dict[int, int] = {}

    def after(self, state: int, true: frozenset[int]) -> int:
        """The cubes that remain when these literals hold."""
        key = state, true
        if key not in self._after:
            found = 0
            for number in _bits(state):
                for term in self.terms[self.cubes[number]]:
                    if term.now <= true:
                        found |= 1 << self.numbers[term.later]
            self._after[key] = self._reduce(found)
        return self._after[key]

    def _reduce(self, state: int) -> int:
        """Without cubes that demand more than another in the set."""
        if state not in self._reduced:
            kept: list[int] = []
            follows = self.progression.follows
            for number in sorted(_bits(state), key=lambda n: len(self.cubes[n])):
                cube = self.cubes[number]
                if not any(follows(cube, self.cubes[other]) for other in kept):
                    kept = [o for o in kept if not follows(self.cubes[o], cube)]
                    kept.append(number)
            self._reduced[state] = sum(1 << number for number in kept)
        return self._reduced[state]

    def ends_well(self, state: int) -> bool:
        """Whether a trace that ends here satisfies the formula."""
        return any(self.progression.ends_well(self.cubes[number]) for number in _bits(state))


class _Builder:
    def __init__(self, pool: Pool, root: int, negated: int) -> None:
        self.alphabet = Alphabet(pool.atoms)
        self.pool = pool
        past = [
            node
            for side in (root, negated)
            for node in pool.reachable(side)
            if pool.rows[node].kind in PAST
        ]
        self.history = History(pool, dict.fromkeys(past))
        self.sides = _Side(pool, root), _Side(pool, negated)
        self.steps = 0
        self._moves: dict[int, list[tuple[frozenset[int], int]]] = {}

    def build(self) -> Automaton:
        for side in self.sides:
            self._find_living(side)
        affirmed, denied = self.sides
        start = (self.history.start, affirmed.start, denied.start)
        numbers = {self._settled(start): 0}
        waiting = list(numbers)
        rows: list[list[int]] = []
        for state in waiting:
            row = []
            for following in self._following(state):
                if following not in numbers:
                    numbers[following] = len(numbers)
                    waiting.append(following)
                row.append(numbers[following])
            rows.append(row)
            if len(numbers) > MAX_STATES:
                raise TooLarge(
                    f"the formula needs more than {MAX_STATES} states; shorten its intervals or "
                    "judge its parts one by one"
                )
        outcome = np.array([self._outcome(state) for state in waiting], np.int8)
        table = np.array(rows, np.int32)
        return Automaton(self.alphabet, table, outcome, _can_decide(table, outcome))

    def _following(self, state: State) -> list[State]:
        """The state after each letter; a decided one stays."""
        history, affirmed, denied = state
        if _DECIDED in {affirmed, denied}:
            return [state] * len(self.alphabet.letters)
        found = []
        for true, after in self.moves(history):
            self._count()
            sets = self.sides[0].after(affirmed, true), self.sides[1].after(denied, true)
            found.append(self._settled((after, *sets)))
        return found

    def moves(self, history: int) -> list[tuple[frozenset[int], int]]:
        """For each letter: the literals that hold, and the history after it."""
        if history not in self._moves:
            found = []
            literals = [n for n, row in enumerate(self.pool.rows) if row.kind == "literal"]
            for letter in self.alphabet.letters:
                after, past = self.history.step(history, letter)
                true = [
                    n
                    for n in literals
                    if letter[self.pool.rows[n].atom] is self.pool.rows[n].positive
                ]
                found.append((frozenset([*true, *(n for n, v in past.items() if v)]), after))
            self._moves[history] = found
        return self._moves[history]

    def _settled(self, state: State) -> State:
        """A decided state forgets everything else: it is the end."""
        history, affirmed, denied = state
        if not affirmed & self.sides[0].living.get(history, 0):
            return 0, 0, _DECIDED
        if not denied & self.sides[1].living.get(history, 0):
            return 0, _DECIDED, 0
        return state

    def _outcome(self, state: State) -> int:
        _, affirmed, denied = state
        if affirmed == 0:
            return FALSE
        if denied == 0:
            return TRUE
        return PRESUMABLY_TRUE if self.sides[0].ends_well(affirmed) else PRESUMABLY_FALSE

    def _find_living(self, side: _Side) -> None:
        """Mark the pairs of cube and history from which an accepting cycle can be reached."""
        promises = _promises(self.pool, side.cubes)
        everything = (1 << len(promises)) - 1
        edges: dict[tuple[int, int], list[tuple[tuple[int, int], int]]] = {}
        waiting = [(0, self.history.start)]
        while waiting:
            node = waiting.pop()
            if node in edges:
                continue
            edges[node] = self._edges(side, node, promises)
            waiting += [target for target, _ in edges[node]]
        group = components({node: [t for t, _ in out] for node, out in edges.items()})
        fulfilled: dict[int, int] = {}
        for node, out in edges.items():
            for target, kept in out:
                if group[node] == group[target]:
                    fulfilled[group[node]] = fulfilled.get(group[node], 0) | kept
        good = {number for number, kept in fulfilled.items() if kept == everything}
        living = {node for node in edges if group[node] in good}
        before: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for node, out in edges.items():
            for target, _ in out:
                before.setdefault(target, []).append(node)
        spreading = list(living)
        while spreading:
            for node in before.get(spreading.pop(), []):
                if node not in living:
                    living.add(node)
                    spreading.append(node)
        for cube, history in living:
            side.living[history] = side.living.get(history, 0) | 1 << cube

    def _edges(
        self, side: _Side, node: tuple[int, int], promises: dict[int, int]
    ) -> list[tuple[tuple[int, int], int]]:
        number, history = node
        cube = side.cubes[number]
        absent = sum(1 << bit for promise, bit in promises.items() if promise not in cube)
        found: dict[tuple[int, int], set[int]] = {}
        for true, after in set(self.moves(history)):
            self._count()
            for term in side.terms[cube]:
                if term.now <= true:
                    target = side.numbers[term.later], after
                    found.setdefault(target, set()).add(absent | _kept(term, promises))
        return [(target, kept) for target, ways in found.items() for kept in ways]

    def _count(self) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise TooLarge(
                f"the automaton has more than {MAX_STEPS} transitions; shorten the intervals or "
                "judge the parts of the formula one by one"
            )


def _promises(pool: Pool, cubes: list[Cube]) -> dict[int, int]:
    """The eventualities without a bound, which a path may put off for ever."""
    found = dict.fromkeys(
        node
        for cube in cubes
        for node in cube
        if pool.rows[node].kind in EXISTS & FUTURE
        and pool.rows[node].high is None
        and pool.rows[node].low == 0
    )
    return {node: bit for bit, node in enumerate(found)}


def _kept(term: Term, promises: dict[int, int]) -> int:
    return sum(1 << promises[node] for node in term.kept if node in promises)


def _bits(state: int) -> list[int]:
    found = []
    while state > 0:
        lowest = state & -state
        found.append(lowest.bit_length() - 1)
        state ^= lowest
    return found


def _can_decide(table: NDArray[np.int32], outcome: NDArray[np.int8]) -> NDArray[np.bool_]:
    decidable = np.isin(outcome, (FALSE, TRUE))
    while True:
        wider: NDArray[np.bool_] = decidable | decidable[table].any(axis=1)
        if (wider == decidable).all():
            return decidable
        decidable = wider

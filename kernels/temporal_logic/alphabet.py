"""What can be seen at one sample, and what must be remembered of those before it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from kernels.temporal_logic.core import EXISTS, FUTURE, PAST, Atom, Pool, Row
from kernels.temporal_logic.progression import TooLarge
from kernels.temporal_logic.tree import Comparison, Number, Signal

MAX_LETTERS = 1024
MAX_ATOMS = 16

Letter = tuple[bool, ...]
"""The truth of every atom."""

_EXCEEDS: dict[str, Callable[[float, float], bool]] = {
    ">": lambda x, c: x > c,
    ">=": lambda x, c: x >= c,
    "==": lambda x, c: x == c,
}


class Alphabet:
    """The combinations of truth values that samples can have.

    Thresholds on one signal are not independent: x > 5 excludes x < 3. Comparisons of several
    signals are taken to be, so a verdict about them may come later than it could, never wrongly.
    """

    def __init__(self, atoms: list[Atom]) -> None:
        if len(atoms) > MAX_ATOMS:
            raise TooLarge(
                f"the formula has {len(atoms)} different comparisons and propositions, verdicts "
                f"are given for at most {MAX_ATOMS}; judge its parts one by one"
            )
        groups = [_possible([atoms[i] for i in group]) for group in _grouped(atoms)]
        order = [i for group in _grouped(atoms) for i in group]
        size = int(np.prod([len(group) for group in groups], dtype=float))
        if size > MAX_LETTERS:
            raise TooLarge(
                f"the formula tells {size} kinds of samples apart, verdicts are given for at most "
                f"{MAX_LETTERS}; judge its parts one by one"
            )
        self.letters: list[Letter] = []
        for choice in itertools.product(*groups):
            flat = list(itertools.chain.from_iterable(choice))
            self.letters.append(tuple(value for _, value in sorted(zip(order, flat, strict=True))))

    def numbers(self, truth: NDArray[np.bool_]) -> NDArray[np.int32]:
        """The letter of each sample, from the atoms' truth, shape (atoms, samples)."""
        lookup = np.zeros(1 << truth.shape[0], np.int32)
        for number, letter in enumerate(self.letters):
            lookup[sum(value << bit for bit, value in enumerate(letter))] = number
        codes = np.zeros(truth.shape[1], np.int32)
        for bit, row in enumerate(truth):
            codes |= row.astype(np.int32) << bit
        found: NDArray[np.int32] = lookup[codes]
        return found


def _grouped(atoms: list[Atom]) -> list[list[int]]:
    """Thresholds of one signal together, everything else alone."""
    groups: dict[object, list[int]] = {}
    for i, atom in enumerate(atoms):
        threshold = (
            isinstance(atom, Comparison)
            and isinstance(atom.left, Signal)
            and isinstance(atom.right, Number)
        )
        key = atom.left if threshold and isinstance(atom, Comparison) else i
        groups.setdefault(key, []).append(i)
    return list(groups.values())


def _possible(atoms: list[Atom]) -> list[Letter]:
    """What thresholds can say together: tried at each of them, between them and beyond them."""
    first = atoms[0]
    if not isinstance(first, Comparison) or not isinstance(first.left, Signal):
        return [(False,), (True,)]
    pairs = [
        (_EXCEEDS[atom.operator], atom.right.value)
        for atom in atoms
        if isinstance(atom, Comparison) and isinstance(atom.right, Number)
    ]
    if len(pairs) < len(atoms):
        return [(False,), (True,)]
    values = sorted({value for _, value in pairs})
    between = [a / 2 + b / 2 for a, b in itertools.pairwise(values)]
    tried = [-np.inf, *values, *between, np.inf]
    return sorted({tuple(exceeds(x, value) for exceeds, value in pairs) for x in tried})


class History:
    """The values that past operators need from the sample before, as bits of a number."""

    def __init__(self, pool: Pool, past: Iterable[int]) -> None:
        self.pool = pool
        self.past = list(past)
        self.cells: dict[int, int] = {}
        for node in self.past:
            if pool.has(node, FUTURE):
                raise ValueError(
                    "a past operator stands over a future one (as in O F p); verdicts and "
                    "monitors know only the past of what was seen, use satisfies or robustness"
                )
        waiting = [n for node in self.past for n in pool.reachable(node)]
        while waiting:
            node = waiting.pop()
            before = _before(pool, pool.rows[node])
            if before is not None and before not in self.cells:
                self.cells[before] = len(self.cells)
                waiting.append(before)

    @property
    def start(self) -> int:
        """Before the first sample: nothing was, and everything always was."""
        return sum(
            1 << bit for node, bit in self.cells.items() if self.pool.rows[node].kind not in EXISTS
        )

    def step(self, state: int, letter: Letter) -> tuple[int, dict[int, bool]]:
        """The state after a sample, and the truth of the past nodes at it."""
        known: dict[int, bool] = {}
        after = 0
        for node, bit in self.cells.items():
            after |= self._value(node, state, letter, known) << bit
        return after, {node: self._value(node, state, letter, known) for node in self.past}

    def _value(self, node: int, state: int, letter: Letter, known: dict[int, bool]) -> bool:
        if node not in known:
            known[node] = self._computed(node, state, letter, known)
        return known[node]

    def _computed(self, node: int, state: int, letter: Letter, known: dict[int, bool]) -> bool:
        row = self.pool.rows[node]
        if row.kind == "literal":
            return letter[row.atom] is row.positive
        if row.kind not in PAST:
            parts = [self._value(part, state, letter, known) for part in row.operands]
            return all(parts) if row.kind == "and" else row.kind != "false" and any(parts)
        exists = row.kind in EXISTS
        before = _before(self.pool, row)
        rest = not exists if before is None else bool(state >> self.cells[before] & 1)
        if len(row.operands) == 2:
            first = self._value(row.operands[0], state, letter, known)
            rest = (rest and first) if exists else (rest or first)
        if row.low > 0:
            return rest
        now = self._value(row.operands[-1], state, letter, known)
        return (now or rest) if exists else (now and rest)


def _before(pool: Pool, row: Row) -> int | None:
    """The same past operator seen from the sample before; None if its window begins here."""
    if row.kind not in PAST or row.high == 0:
        return None
    high = None if row.high is None else row.high - 1
    return pool.intern(row._replace(low=max(0, row.low - 1), high=high))

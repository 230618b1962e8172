"""A formula watched while samples arrive: values as soon as they are final, bounds before.

A bounded formula has a value at every position, final once its horizon has passed. Where an
unbounded future operator is involved no value is ever final, so the formula is judged at the
first position only: what the samples so far leave of it is a maximum over cubes of obligations,
each with the least margin met on the way there (see `progression`). Bounds are those of robust
satisfaction intervals (Deshmukh et al. 2017): every comparison that is not known yet may have
any margin, and the trace may also end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.series import Floats, Integers
from kernels.temporal_logic import streaming
from kernels.temporal_logic.core import PAST, Pool
from kernels.temporal_logic.formula import Formula, as_formula
from kernels.temporal_logic.network import connect
from kernels.temporal_logic.progression import Progression
from kernels.temporal_logic.trace import Trace, as_rows, run
from kernels.temporal_logic.verdicts import Outcome

MAX_CUBES = 500
MAX_TERMS = 5000
CHUNK = 4096
"""Longer chunks are taken in pieces, so that the memory does not grow with them."""

_ENDLESS = 1 << 60
_NOTHING: Floats = np.zeros(0)
_NOTHING.flags.writeable = False


@dataclass(frozen=True, slots=True)
class Update:
    """What the samples so far say. `position` counts from 0, the first sample ever seen."""

    position: int
    robustness: Floats
    """Final values of `position` and those after it; empty for an unbounded formula."""
    lower: Floats
    """Bounds of the positions after them that have been reached but are still open; for an
    unbounded formula those of position 0 alone. Empty when intervals were not asked for."""
    upper: Floats


class _Skeleton(NamedTuple):
    """The unbounded part: cubes and their terms over the rows of bounded parts."""

    terms: Integers
    needed: Integers
    start: Floats
    empty: int
    ends_well: NDArray[np.bool_]
    """Whether the trace may end with a cube."""


class Monitor:
    """Watches one formula over one stream; memory grows with its windows, not with the stream.

    `intervals` False leaves out the bounds of open positions, which cost work proportional to
    the horizon at each update. Raises ValueError when a past operator stands over an unbounded
    future one, or when the formula leaves too many obligations to keep apart.
    """

    def __init__(self, formula: Formula | str, *, intervals: bool = True) -> None:
        self.formula = as_formula(formula)
        self.intervals = intervals
        pool, root = self.formula.pool, self.formula.root
        self._bounded = self.formula.horizon is not None
        self._skeleton: _Skeleton | None = None
        parts = [root]
        if not self._bounded:
            self._skeleton, parts = _skeleton(pool, root)
        self._network = connect(pool, parts)
        self._program = self.formula.program(self._network.literals, boolean=False)
        self.reset()

    def reset(self) -> None:
        """Forget all samples."""
        self._state = self._network.rest.copy()
        self._weights = np.zeros(0) if self._skeleton is None else self._skeleton.start.copy()
        self._steps = 0
        self._clock = np.zeros(2, np.int64)
        self._first = 0.0
        self._finished = False

    @property
    def samples(self) -> int:
        """How many samples it has seen."""
        return self._steps

    @property
    def horizon(self) -> int:
        """How many samples later a value is final (of the bounded parts, if there are others)."""
        return self._network.delay

    @property
    def memory(self) -> int:
        """Bytes of state."""
        return int(self._state.nbytes + self._weights.nbytes)

    def update(self, chunk: Trace) -> Update:
        """Take samples (signals by name, or steps; any number of them) and say what they decide.

        Raises ValueError for a chunk that does not fit, with the state unchanged.
        """
        if self._finished:
            raise ValueError("the trace was finished; call reset to watch another one")
        signals = as_rows(self.formula, chunk, minimum=0)
        literals = run(self.formula, self._program, signals)
        position = max(0, self._steps - self.horizon)
        if literals.shape[1] <= CHUNK:
            robustness = self._advance(literals, _ENDLESS)
        else:
            pieces = range(0, literals.shape[1], CHUNK)
            robustness = np.concatenate(
                [self._advance(literals[:, at : at + CHUNK].copy(), _ENDLESS) for at in pieces]
            )
        lower, upper = self.bounds() if self.intervals else (_NOTHING, _NOTHING)
        return Update(position if self._bounded else 0, robustness, lower, upper)

    def finish(self) -> Update:
        """The values of the positions still open, if the trace ends here: windows are cut."""
        position = max(0, self._steps - self.horizon) if self._bounded else 0
        values = _NOTHING
        if self._steps and not self._finished:
            weights, end = self._weights, self._steps
            values = self._advance(np.zeros((len(self._network.literals), self.horizon)), end)
            self._steps = end
            if self._skeleton is not None:
                values = np.array(
                    [float(np.max(weights, where=self._skeleton.ends_well, initial=-np.inf))]
                )
                self._first = float(values[0])
        self._finished = True
        return Update(position, values, _NOTHING, _NOTHING)

    def bounds(self) -> tuple[Floats, Floats]:
        """The lowest and highest values the open positions may still get (see `Update`)."""
        network = self._network
        self._clock[:] = self._steps, _ENDLESS
        size = len(network.literals), self.horizon
        ahead = streaming.outlook(network.code, network.outputs, size, self._state, self._clock)
        skip = max(0, self.horizon - self._steps)
        if self._skeleton is None:
            return ahead[0, 0, skip:], ahead[1, 0, skip:]
        low, high = self._weights.copy(), self._weights.copy()
        _spread(self._skeleton, low, ahead[0], skip)
        _spread(self._skeleton, high, ahead[1], skip)
        return low[self._skeleton.empty].reshape(1), high.max(keepdims=True)

    @property
    def verdict(self) -> Outcome:
        """Of the formula at the first position: decided by the sign of what is known of it."""
        if self._finished or (self._bounded and self._steps > self.horizon):
            low = high = self._first
        elif self._steps:
            low, high = (float(bound[0]) for bound in self.bounds())
        else:
            low, high = -np.inf, np.inf
        if low > 0 or high < 0:
            return Outcome.TRUE if low > 0 else Outcome.FALSE
        return Outcome.INCONCLUSIVE

    def _advance(self, literals: Floats, end: int) -> Floats:
        """Run on; the values of positions that became final (none without a bound)."""
        network, count = self._network, literals.shape[1]
        self._clock[:] = self._steps, end
        rows = streaming.advance(network.code, network.outputs, literals, self._state, self._clock)
        skip = min(count, max(0, self.horizon - self._steps))
        if self._skeleton is not None:
            _spread(self._skeleton, self._weights, rows, skip)
            values = _NOTHING
        else:
            values = rows[0, skip:]
            if self._steps <= self.horizon < self._steps + count:
                self._first = float(values[0])
        self._steps += count
        return values


def _spread(skeleton: _Skeleton, weights: Floats, rows: Floats, skip: int) -> None:
    streaming.spread(weights, skeleton.terms, skeleton.needed, rows, skip)


def _skeleton(pool: Pool, root: int) -> tuple[_Skeleton, list[int]]:
    """The cubes over an unbounded formula, and the bounded nodes they are judged by."""
    for node in pool.reachable(root):
        if pool.rows[node].kind in PAST and pool.horizon(node) is None:
            raise ValueError(
                "a past operator stands over an unbounded future one (as in O F p); a monitor "
                "would have to remember everything, use satisfies or robustness"
            )
    progression = Progression(pool, lambda node: pool.horizon(node) is not None, MAX_CUBES)
    cubes = progression.explore(root)
    numbers = {cube: number for number, cube in enumerate(cubes)}
    empty = numbers.setdefault(frozenset(), len(numbers))
    parts: dict[int, int] = {}
    needed: list[int] = []
    terms = []
    for cube, ways in cubes.items():
        for way in ways:
            begin = len(needed)
            needed += [parts.setdefault(node, len(parts)) for node in sorted(way.now)]
            terms.append((numbers[cube], numbers[way.later], begin, len(needed)))
    if len(terms) > MAX_TERMS:
        raise ValueError(
            f"the formula leaves {len(terms)} ways to go on, more than {MAX_TERMS}; watch its "
            "parts one by one"
        )
    if frozenset() not in cubes:
        terms.append((empty, empty, 0, 0))
    start = np.full(len(numbers), -np.inf)
    start[numbers[frozenset({root})]] = np.inf
    ends = [progression.ends_well(cube) for cube in numbers]
    skeleton = _Skeleton(
        np.array(terms, np.int64).reshape(-1, 4),
        np.array(needed, np.int64),
        start,
        empty,
        np.array(ends),
    )
    return skeleton, list(parts) or [pool.true]

"""From shared nodes to a program that runs as samples arrive, every row with its delay."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kernels.series import Floats, Integers
from kernels.temporal_logic import streaming
from kernels.temporal_logic.core import EXISTS, FUTURE, Pool, Row

MAX_STATE = 50_000_000
"""Numbers of memory (400 MB): the lengths of all windows together, four times."""


@dataclass(frozen=True, slots=True)
class Network:
    """What `streaming.stream` runs; the rows `outputs` all lag by `delay` samples."""

    code: Integers
    literals: tuple[int, ...]
    """The nodes whose values are the input, in order."""
    outputs: Integers
    delay: int
    rest: Floats
    """The state before the first sample."""


def connect(pool: Pool, roots: Iterable[int]) -> Network:
    """The network for bounded nodes. Raises ValueError when its memory would be too large."""
    return _Writer(pool).connect(list(roots))


class _Writer:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.lines: list[list[int]] = []
        self.delays: list[int] = []
        self.literals: list[int] = []
        self.size = 0
        self.open: list[tuple[int, int]] = []
        """Parts of the state that begin as "nothing stood in the way": offset and length."""
        self.rows: dict[int, int] = {}
        self.delayed: dict[tuple[int, int], int] = {}

    def connect(self, roots: list[int]) -> Network:
        for node in self.pool.reachable(*roots):
            self.rows[node] = self._node(node, self.pool.rows[node])
        delay = max(self.delays[self.rows[root]] for root in roots)
        outputs = [self._aligned(self.rows[root], delay) for root in roots]
        if self.size > MAX_STATE:
            raise ValueError(
                f"the windows need {self.size} numbers of memory, more than {MAX_STATE}; shorten "
                "the intervals"
            )
        rest = np.full(self.size, -np.inf)
        for offset, length in self.open:
            rest[offset : offset + length] = np.inf
        return Network(
            np.array(self.lines, np.int64), tuple(self.literals), np.array(outputs), delay, rest
        )

    def _add(self, code: int, delay: int, *columns: int) -> int:
        first, second, width, past, mask, offset = (*columns, 0, 0, 0, 0, 0, 0)[:6]
        self.lines.append([code, len(self.lines), first, second, width, past, mask, offset])
        self.delays.append(delay)
        return len(self.lines) - 1

    def _aligned(self, row: int, delay: int) -> int:
        """The row, later: a ring of the difference."""
        behind = delay - self.delays[row]
        if behind == 0:
            return row
        if (row, behind) not in self.delayed:
            offset = self._memory(behind)
            self.delayed[row, behind] = self._add(
                streaming.DELAY, delay, 0, row, behind, 0, 0, offset
            )
        return self.delayed[row, behind]

    def _memory(self, count: int) -> int:
        self.size += count
        return self.size - count

    def _node(self, node: int, row: Row) -> int:
        if row.kind in {"literal", "true", "false"}:
            self.literals.append(node)
            return self._add(streaming.LITERAL, 0, len(self.literals) - 1)
        parts = [self.rows[part] for part in row.operands]
        if row.kind in {"and", "or"}:
            return self._joined(row.kind, parts)
        if len(parts) == 1:
            return self._window(row.kind, [parts[0]], row.low, row.high)
        return self._chain(row, parts)

    def _joined(self, kind: str, parts: list[int]) -> int:
        delay = max(self.delays[part] for part in parts)
        value, *others = [self._aligned(part, delay) for part in parts]
        for other in others:
            code = streaming.AND if kind == "and" else streaming.OR
            value = self._add(code, delay, value, other)
        return value

    def _chain(self, row: Row, parts: list[int]) -> int:
        """From low 0 in one window; above, the first operand holds for `low` samples before."""
        high = None if row.high is None else row.high - row.low
        value = self._window(row.kind, parts, 0, high)
        if row.low == 0:
            return value
        exists, future = row.kind in EXISTS, row.kind in FUTURE
        shift, lasts = ("F", "G") if future else ("O", "H")
        if not exists:
            shift, lasts = lasts, shift
        shifted = self._window(shift, [value], row.low, row.low)
        held = self._window(lasts, [parts[0]], 0, row.low - 1)
        return self._joined("and" if exists else "or", [shifted, held])

    def _window(self, kind: str, parts: list[int], low: int, high: int | None) -> int:
        """A product over a window; `parts` are what holds on the way, if any, and at the end."""
        delay = max(self.delays[part] for part in parts)
        aligned = [self._aligned(part, delay) for part in parts]
        future = kind in FUTURE
        mask = delay
        if not future and low > 0:
            aligned = [self._aligned(part, delay + low) for part in aligned]
            mask = delay + low
        width = streaming.NOTHING if high is None else high - low + 1
        offset = self._memory(1 if high is None else 4 * width + 2)
        if high is not None:
            self.open += [(offset, width), (offset + 2 * width, width), (offset + 4 * width, 1)]
        first = aligned[0] if len(aligned) == 2 else streaming.NOTHING
        code = streaming.EXISTS if kind in EXISTS else streaming.FORALL
        lag = delay + (high or 0) if future else delay
        return self._add(code, lag, first, aligned[-1], width, int(not future), mask, offset)

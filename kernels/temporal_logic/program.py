"""From shared nodes to a program of vector operations, with few rows of memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kernels.series import Floats, Integers
from kernels.temporal_logic import windows
from kernels.temporal_logic.core import Pool, Row
from kernels.temporal_logic.tree import (
    Comparison,
    Expression,
    Number,
    Proposition,
    Signal,
)

_ARITHMETIC = {
    "+": windows.ADD,
    "-": windows.SUBTRACT,
    "*": windows.MULTIPLY,
    "/": windows.DIVIDE,
}
_WINDOWS = {
    "F": windows.FUTURE_MAX,
    "G": windows.FUTURE_MIN,
    "O": windows.PAST_MAX,
    "H": windows.PAST_MIN,
}
_CHAINS = {"U": windows.UNTIL, "R": windows.RELEASE, "S": windows.SINCE, "T": windows.TRIGGER}
_PARTS = {
    "U": ("F", "G", "and"),
    "R": ("G", "F", "or"),
    "S": ("O", "H", "and"),
    "T": ("H", "O", "or"),
}
"""The windows a bounded chain is made of: where the second holds, how long the first must."""

UNBOUNDED = -1

Columns = dict[tuple[str, bool], int]
"""The row of the signals for each name, standing alone (True) or in arithmetic (False)."""

Bounds = tuple[int, int]
Line = tuple[int, int, int, int, int, int, float]


@dataclass(frozen=True, slots=True)
class Program:
    """What `windows.evaluate` runs: instructions and their constants."""

    code: Integers
    constants: Floats
    shape: Integers
    """How many rows of work it needs, then the rows that hold the results."""

    @property
    def rows(self) -> int:
        """How many rows of work it needs."""
        return int(self.shape[0])


def compile_program(
    pool: Pool, roots: Sequence[int], columns: Columns, *, boolean: bool
) -> Program:
    """The program for the values of the roots at every sample, as robustness or as ±1."""
    writer = _Writer(columns, boolean=boolean)
    values: dict[int, int] = {}
    for index in pool.reachable(*roots):
        values[index] = writer.node(pool, pool.rows[index], values)
    return writer.finish([values[root] for root in roots])


class _Writer:
    """Instructions in order, each with a value of its own, before rows are shared out."""

    def __init__(self, columns: Columns, *, boolean: bool) -> None:
        self.columns = columns
        self.boolean = boolean
        self.lines: list[Line] = []

    def add(self, code: int, *inputs: int, bounds: Bounds = (0, 0), constant: float = 0.0) -> int:
        """Append an instruction; the value that it makes."""
        value = len(self.lines)
        first, second = (*inputs, 0, 0)[:2]
        self.lines.append((code, value, first, second, *bounds, constant))
        return value

    def node(self, pool: Pool, row: Row, values: dict[int, int]) -> int:
        """Write one node; the value that holds it."""
        parts = [values[part] for part in row.operands]
        if row.kind in {"true", "false"}:
            return self.add(windows.CONSTANT, constant=np.inf if row.kind == "true" else -np.inf)
        if row.kind == "literal":
            return self._literal(pool, row)
        if row.kind in {"and", "or"}:
            return self._join(row.kind, parts)
        if row.kind in _WINDOWS:
            return self._window(row.kind, parts[0], row.low, row.high)
        return self._chain(row, parts)

    def _join(self, kind: str, parts: list[int]) -> int:
        value = parts[0]
        for part in parts[1:]:
            value = self.add(windows.AND if kind == "and" else windows.OR, value, part)
        return value

    def _window(self, kind: str, operand: int, low: int, high: int | None) -> int:
        if (low, high) == (0, 0):
            return operand
        return self.add(_WINDOWS[kind], operand, bounds=(low, UNBOUNDED if high is None else high))

    def _chain(self, row: Row, parts: list[int]) -> int:
        first, second = parts
        value = self.add(_CHAINS[row.kind], first, second)
        reaches, lasts, join = _PARTS[row.kind]
        conditions = []
        if row.low > 0:
            value = self._window(reaches, value, row.low, row.low)
            conditions.append(self._window(lasts, first, 0, row.low - 1))
        if row.high is not None:
            conditions.append(self._window(reaches, second, row.low, row.high))
        return self._join(join, [value, *conditions])

    def _literal(self, pool: Pool, row: Row) -> int:
        atom = pool.atoms[row.atom]
        if isinstance(atom, Proposition):
            value = self.add(windows.SAMPLE, self.columns[atom.name, True])
            strict = row.positive
        else:
            value = self._margin(atom, negative=not row.positive)
            strict = row.positive is (atom.operator == ">")
        if isinstance(atom, Proposition) and not row.positive:
            value = self.add(windows.NEGATE, value)
        return self.add(windows.TRUTH, value, int(not strict)) if self.boolean else value

    def _margin(self, atom: Comparison, *, negative: bool) -> int:
        """Left - right, or -|left - right| for equality; negated for a denied literal."""
        left, right = atom.left, atom.right
        if isinstance(left, Signal) and isinstance(right, Number) and atom.operator != "==":
            column = self.columns[left.name, False]
            return self.add(windows.MARGIN, column, int(negative), constant=right.value)
        first, second = self._expression(left), self._expression(right)
        if atom.operator != "==":
            order = (second, first) if negative else (first, second)
            return self.add(windows.SUBTRACT, *order)
        value = self.add(windows.ABSOLUTE, self.add(windows.SUBTRACT, first, second))
        return value if negative else self.add(windows.NEGATE, value)

    def _expression(self, expression: Expression) -> int:
        if isinstance(expression, Number):
            return self.add(windows.CONSTANT, constant=expression.value)
        if isinstance(expression, Signal):
            return self.add(windows.SAMPLE, self.columns[expression.name, False])
        parts = [self._expression(part) for part in expression.operands]
        if expression.operator == "abs":
            return self.add(windows.ABSOLUTE, parts[0])
        return self.add(_ARITHMETIC[expression.operator], parts[0], parts[1])

    def finish(self, results: list[int]) -> Program:
        """Give rows to values; a row is free again after the last use of its value."""
        last_use = {value: at for at, line in enumerate(self.lines) for value in _inputs(line)}
        last_use |= dict.fromkeys(results, len(self.lines))
        rows: dict[int, int] = {}
        free: list[int] = []
        count = 0
        code = np.zeros((len(self.lines), windows.COLUMNS), np.int64)
        for at, line in enumerate(self.lines):
            inputs = _inputs(line)
            if not free:
                free.append(count)
                count += 1
            rows[at] = free.pop()
            code[at] = line[:6]
            code[at, 1] = rows[at]
            code[at, 2 : 2 + len(inputs)] = [rows[value] for value in inputs]
            free += [rows[value] for value in {*inputs, at} if last_use.get(value, at) == at]
        constants = np.array([line[6] for line in self.lines])
        return Program(code, constants, np.array([count, *(rows[v] for v in results)]))


def _inputs(line: Line) -> tuple[int, ...]:
    code, _, first, second, *_ = line
    if code <= windows.MARGIN:
        return ()
    if (
        code in {windows.ABSOLUTE, windows.NEGATE, windows.TRUTH}
        or windows.FUTURE_MAX <= code <= windows.PAST_MIN
    ):
        return (first,)
    return first, second

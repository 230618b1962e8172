"""The boundary: signals by name, or steps, become one array with a row for each column."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernels import series
from kernels.series import MAX_MAGNITUDE, Floats, as_series
from kernels.temporal_logic import windows
from kernels.temporal_logic.formula import Formula
from kernels.temporal_logic.program import Program

Trace = Mapping[str, ArrayLike] | Sequence[Collection[str] | Mapping[str, Any]]
"""Signals by name, all of one length; or one step after the other: the set of propositions that
hold, or a mapping from names to values (a proposition that is missing is false)."""

MAX_CELLS = 100_000_000
"""Rows times samples (800 MB): a kernel cannot be interrupted, so it must be bounded."""


def evaluate(formula: Formula, program: Program, trace: Trace) -> Floats:
    """The program's first value at every sample. Raises ValueError for an unfitting trace."""
    first: Floats = run(formula, program, as_rows(formula, trace))[0]
    return first


def run(formula: Formula, program: Program, signals: Floats) -> Floats:
    """The program's values, one per row. Raises ValueError for NaN, infinity or too much."""
    if program.rows * signals.shape[1] > MAX_CELLS:
        raise ValueError(
            f"{signals.shape[1]} samples of a formula of {program.rows} rows are too much in one "
            f"piece ({MAX_CELLS:g} cells); cut the trace, or feed a Monitor"
        )
    limits = formula.measured, MAX_MAGNITUDE
    values, broken = windows.evaluate(
        program.code, program.constants, signals, limits, program.shape
    )
    if broken >= 0:
        as_series(signals[broken], list(formula.columns)[broken][0])
    return values


def atoms_truth(formula: Formula, trace: Trace) -> NDArray[np.bool_]:
    """Which comparisons and propositions hold, shape (atoms, samples); no samples are allowed."""
    return run(formula, formula.atoms, as_rows(formula, trace, minimum=0)) > 0


def as_rows(formula: Formula, trace: Trace, minimum: int = 1) -> Floats:
    """Shape (columns, samples); bare booleans as ±inf. Signals in arithmetic may be infinite."""
    signals = trace if isinstance(trace, Mapping) else _by_name(formula, trace, minimum)
    if any(name not in signals for name in formula.names):
        missing = next(name for name in formula.names if name not in signals)
        raise ValueError(
            f"the trace has no signal {missing!r}; it has {_some(signals)}, and the formula "
            f"speaks of {_some(formula.names)}"
        )
    if not formula.columns:
        return _nothing(signals)
    rows = [_row(signals[name], name, alone) for name, alone in formula.columns]
    length = rows[0].size
    if length < minimum:
        raise ValueError("the trace is empty; at least one sample is needed")
    if len(rows) == 1:
        return rows[0].reshape(1, length)
    for row, (name, _) in zip(rows, formula.columns, strict=True):
        if row.size != length:
            raise ValueError(
                f"{name} has {row.size} samples and {next(iter(formula.columns))[0]} has "
                f"{length}; all signals are to be of one length"
            )
    return np.stack(rows)


def _row(values: ArrayLike, name: str, alone: bool) -> Floats:  # noqa: FBT001
    if not alone:
        return values if _is_ready(values) else as_series(values, name, 0)  # type: ignore[return-value]
    array = np.asarray(values)
    if array.dtype.kind == "b" and array.ndim == 1:
        return np.where(array, np.inf, -np.inf)
    return as_series(array, name, 0)


def _is_ready(values: ArrayLike) -> bool:
    """Whether the kernel may read it as it is; the kernel looks for NaN itself."""
    if type(values) is not np.ndarray or values.dtype != np.float64 or values.ndim != 1:
        return False
    return bool(values.flags.carray) and values.size <= series.MAX_SAMPLES


def _nothing(signals: Mapping[str, ArrayLike]) -> Floats:
    """A formula of constants alone still has one value per sample."""
    lengths = {np.asarray(values).size for values in signals.values()}
    return np.zeros((0, max(lengths, default=1)))


def _by_name(formula: Formula, steps: Sequence[Any], minimum: int) -> Mapping[str, NDArray[Any]]:
    if isinstance(steps, str | bytes) or not isinstance(steps, Sequence):
        raise ValueError(  # noqa: TRY004 - bad input is always a ValueError here
            f"the trace is a {type(steps).__name__}; pass a mapping of signals, or a list of steps"
        )
    if len(steps) < minimum:
        raise ValueError("the trace is empty; at least one sample is needed")
    signals = {
        name: np.array([_value(step, name, at, alone) for at, step in enumerate(steps)])
        for name, alone in formula.columns
    }
    return signals or {"": np.zeros(len(steps))}


def _value(step: Any, name: str, at: int, alone: bool) -> Any:  # noqa: FBT001
    if isinstance(step, Mapping):
        if name not in step and not alone:
            raise ValueError(f"step {at} has no value for {name}")
        return step.get(name, False)
    if not alone or isinstance(step, str | bytes) or not isinstance(step, Collection):
        raise ValueError(
            f"step {at} is {step!r:.60}; pass a mapping with a number for {name}"
            if not alone
            else f"step {at} is {step!r:.60}; pass the set of propositions that hold, or a mapping"
        )
    return name in step


def _some(names: Collection[str] | Mapping[str, Any]) -> str:
    shown = ", ".join(list(names)[:10])
    return shown + (", …" if len(names) > 10 else "") or "none"

"""Verdicts on traces that may go on: three values, four values, and whether waiting is worth it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from kernels.temporal_logic import automaton, windows
from kernels.temporal_logic.automaton import FALSE, TRUE, Automaton
from kernels.temporal_logic.formula import Formula, as_formula
from kernels.temporal_logic.trace import Trace, atoms_truth


class Outcome(StrEnum):
    """Four values; three-valued, both presumptions are `INCONCLUSIVE`."""

    FALSE = "false"
    PRESUMABLY_FALSE = "presumably false"
    PRESUMABLY_TRUE = "presumably true"
    TRUE = "true"
    INCONCLUSIVE = "inconclusive"


_FOUR = (Outcome.FALSE, Outcome.PRESUMABLY_FALSE, Outcome.PRESUMABLY_TRUE, Outcome.TRUE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a trace says about a formula."""

    three: Outcome
    """TRUE or FALSE when no continuation can change it, INCONCLUSIVE otherwise (LTL3)."""
    four: Outcome
    """The same, and until it is decided whether the trace as it stands satisfies it (RV-LTL)."""
    decided_after: int | None
    """How many samples decided it; None while inconclusive."""
    decidable: bool
    """Whether some continuation of this trace leads to TRUE or FALSE."""
    monitorable: bool
    """Whether that is so after every trace. If not, waiting may be in vain (`GF p`)."""


def verdict(formula: Formula | str, trace: Trace) -> Verdict:
    """What the samples so far decide, if the trace goes on for ever. An empty trace is allowed.

    Exact for propositions and thresholds; other comparisons count as independent of each other,
    so a verdict may then come later than it could, never wrongly. Raises ValueError for a future
    operator under a past one, and when the automaton would be too large.
    """
    parsed = as_formula(formula)
    machine = automaton_of(parsed)
    letters = machine.alphabet.numbers(atoms_truth(parsed, trace))
    path = np.empty(letters.size, np.int32)
    state = windows.run_table(machine.table, letters, 0, path)
    outcome = int(machine.outcome[state])
    decided = outcome in {FALSE, TRUE}
    return Verdict(
        three=_FOUR[outcome] if decided else Outcome.INCONCLUSIVE,
        four=_FOUR[outcome],
        decided_after=_first_decided(machine, path) if decided else None,
        decidable=bool(machine.decidable[state]),
        monitorable=machine.monitorable,
    )


def outcomes(formula: Formula | str, trace: Trace) -> NDArray[np.int8]:
    """The four-valued verdict after each sample: 0 false, 1 and 2 presumably, 3 true."""
    parsed = as_formula(formula)
    machine = automaton_of(parsed)
    letters = machine.alphabet.numbers(atoms_truth(parsed, trace))
    path = np.empty(letters.size, np.int32)
    windows.run_table(machine.table, letters, 0, path)
    return machine.outcome[path]


def monitorable(formula: Formula | str) -> bool:
    """Whether, whatever has been seen, something seen later can still decide the formula."""
    return automaton_of(as_formula(formula)).monitorable


def automaton_of(formula: Formula) -> Automaton:
    """The formula's automaton, built once."""
    if formula.automaton is None:
        negated = formula.pool.translate(formula.tree, positive=False)
        formula.automaton = automaton.build(formula.pool, formula.root, negated)
    return formula.automaton


def _first_decided(machine: Automaton, path: NDArray[np.int32]) -> int:
    if machine.outcome[0] in {FALSE, TRUE}:
        return 0
    return int(np.argmax(np.isin(machine.outcome[path], (FALSE, TRUE)))) + 1

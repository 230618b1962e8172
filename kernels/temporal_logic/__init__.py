"""Temporal logic over finite traces: truth, verdicts on unfinished traces, robustness, blame.

One formula, four questions
---------------------------
* `satisfies`, `holds`: is it true of this finite trace (LTLf)? A window that reaches beyond the
  end is cut there; F, U and X (strong) of nothing are false, G, R and WX (weak) true.
* `verdict`: what may still become of it, when the trace goes on for ever (LTL3, Bauer, Leucker &
  Schallhart 2011) or is judged as it stands until then (RV-LTL, four values)?
* `robustness`: by how much is it true at each sample (discrete-time STL, Donzé & Maler 2010)?
  Positive means true, negative false; at 0 the comparison's strictness decides.
* `Monitor`: the same as samples arrive, in bounded memory, with bounds on what is still open.
  `explain`: where and why was it first violated?

What is promised
----------------
Robustness is made of minima and maxima of the comparisons' margins: no rounding, the values are
those of the definition to the last bit, negations and all equivalences included. A comparison
with `==` has the margin −|left − right|. A boolean signal is worth ±∞, so it never limits the
margin of what it guards. NaN and infinity in a signal are refused with their place.

How it is laid out
------------------
::

    monitor ─ network ─ streaming (compiled)     verdicts ─ automaton ─ alphabet     explanation
       └──────────┴──────────── progression ───────────────────┘                        │
    ────────────────────── trace (boundary) ─ formula ─ program ─ windows (compiled) ────────────
                                                 ├─ core (shared nodes)
                                                 └─ grammar ─ tree ─ words
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.series import Floats
from kernels.temporal_logic.explanation import Explanation, explain
from kernels.temporal_logic.formula import Formula, as_formula, parse
from kernels.temporal_logic.monitor import Monitor, Update
from kernels.temporal_logic.progression import TooLarge
from kernels.temporal_logic.trace import Trace, evaluate
from kernels.temporal_logic.verdicts import Outcome, Verdict, monitorable, outcomes, verdict
from kernels.temporal_logic.words import FormulaError

__all__ = [
    "Explanation",
    "Formula",
    "FormulaError",
    "Monitor",
    "Outcome",
    "TooLarge",
    "Update",
    "Verdict",
    "explain",
    "holds",
    "monitorable",
    "outcomes",
    "parse",
    "robustness",
    "satisfies",
    "verdict",
]


def satisfies(formula: Formula | str, trace: Trace) -> bool:
    """Whether the finite trace satisfies the formula at its first position (LTLf).

    `trace` maps signals to arrays of one length, or lists steps: sets of the propositions that
    hold, or mappings from names to values. Raises ValueError for an empty or unfitting trace.
    """
    return bool(holds(formula, trace)[0])


def holds(formula: Formula | str, trace: Trace) -> NDArray[np.bool_]:
    """Whether the formula is true at each position of the finite trace."""
    parsed = as_formula(formula)
    return evaluate(parsed, parsed.truth, trace) > 0


def robustness(formula: Formula | str, signals: Trace) -> Floats:
    """By how much the formula is true (positive) or false (negative) at each sample.

    In the unit of the signals. A window that reaches beyond the end of the trace is cut there,
    an empty one gives -inf (F, U, O, S and strong X, Y) or inf (their duals).
    """
    parsed = as_formula(formula)
    return evaluate(parsed, parsed.margin, signals)

"""Temporal logic against rtamt and flloat, packed trees against scikit-learn.

rtamt's `next` and `prev` are the weak ones: they are compared with ours, WX and Z, and its
`s_next` and `s_prev` with X and Y. It values `a iff b` as -|a - b|, which is negative where both
are true; ours is (a -> b) & (b -> a), so that the sign always tells the truth.
"""

from __future__ import annotations

import logging
import random
from functools import cache
from importlib import import_module

import numpy as np

from kernels import temporal_logic, trees
from tests.oracle.agreement import Agreement

FORMULAS = 60
LENGTH = 40
ONE = {
    "not": "!",
    "always": "G",
    "eventually": "F",
    "historically": "H",
    "once": "O",
    "next": "WX",
    "s_next": "X",
    "prev": "Z",
    "s_prev": "Y",
    "rise": "rise",
    "fall": "fall",
}
TWO = {"and": "&", "or": "|", "implies": "->", "until": "U", "since": "S"}
TIMED = {"always", "eventually", "historically", "once", "until", "since"}


@cache
def signals():
    rows = np.round(np.random.default_rng(5).normal(size=(2, LENGTH)) * 3, 1)
    return {"x": rows[0], "y": rows[1]}


def stl(rng, depth):
    """One formula in rtamt's spelling and in ours."""
    if depth == 0 or rng.random() < 0.15:
        text = rng.choice(["(x > 0.5)", "(y <= x)", "(x - y < 1.5)", "(x == 0.3)", "(abs(y) > 2)"])
        return text, text
    unary = rng.random() < 0.6
    name = rng.choice(sorted(ONE if unary else TWO))
    low = rng.randint(0, 4)
    window = f"[{low},{low + rng.randint(1, 5)}]" if name in TIMED and rng.random() < 0.7 else ""
    parts = [stl(rng, depth - 1) for _ in range(1 if unary else 2)]
    if unary:
        (theirs, ours), *_ = parts
        return f"({name}{window}({theirs}))", f"({ONE[name]}{window}({ours}))"
    (theirs, ours), (their_second, our_second) = parts
    return (
        f"(({theirs}) {name}{window} ({their_second}))",
        f"(({ours}) {TWO[name]}{window} ({our_second}))",
    )


def by_rtamt(text):
    logging.getLogger().setLevel(logging.ERROR)
    specification = import_module("rtamt").StlDiscreteTimeSpecification()
    for name in signals():
        specification.declare_var(name, "float")
    specification.spec = text
    specification.parse()
    data = {name: values.tolist() for name, values in signals().items()}
    return [value for _, value in specification.evaluate({"time": list(range(LENGTH)), **data})]


def largest_difference():
    """Over all samples of all formulas; equal infinities do not differ."""
    worst = 0.0
    for number in range(FORMULAS):
        theirs, ours = stl(random.Random(number), 5)
        for a, b in zip(
            by_rtamt(theirs), temporal_logic.robustness(ours, signals()).tolist(), strict=True
        ):
            worst = max(worst, 0.0 if a == b else abs(a - b))
    return worst


def ltl(rng, depth):
    """A formula that both flloat and we read the same way: every operator in parentheses."""
    if depth == 0 or rng.random() < 0.15:
        return rng.choice(["p", "q", "r", "true", "false"])
    unary, two = ["!", "X", "WX", "F", "G"], ["&", "|", "->", "<->", "U", "R"]
    if rng.random() < 0.5:
        return f"({rng.choice(unary)} ({ltl(rng, depth - 1)}))"
    return f"(({ltl(rng, depth - 1)}) {rng.choice(two)} ({ltl(rng, depth - 1)}))"


def disagreements():
    """Formula and trace pairs of which flloat says something else."""
    parse = import_module("flloat.parser.ltlf").LTLfParser()
    count = 0
    for number in range(FORMULAS):
        rng = random.Random(number)
        text = ltl(rng, 4)
        theirs = parse(text)
        for _ in range(4):
            trace = [{name: rng.random() < 0.6 for name in "pqr"} for _ in range(rng.randint(1, 7))]
            count += theirs.truth(trace) != temporal_logic.satisfies(text, trace)
    return count


def largest_score_difference():
    rows = np.random.default_rng(2).normal(size=(300, 5))
    rows[rows > 1.5] = np.nan
    target = np.digitize(np.nan_to_num(rows[:, 0] + rows[:, 1]), [-0.5, 0.5])
    ensemble = import_module("sklearn.ensemble")
    model = ensemble.HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(rows, target)
    difference = trees.pack(model).probabilities(rows) - model.predict_proba(rows)
    return float(np.abs(difference).max())


AGREEMENTS = (
    Agreement(
        "temporal_logic.robustness",
        "rtamt",
        f"largest difference over {FORMULAS} random formulas of depth 5 at {LENGTH} samples each",
        largest_difference,
        lambda: 0.0,
        why="its next and prev are weak (our WX and Z); a <-> b is valued differently",
    ),
    Agreement(
        "temporal_logic.satisfies",
        "flloat",
        f"disagreements over {FORMULAS} random formulas of depth 4 on 4 traces each",
        disagreements,
        lambda: 0.0,
    ),
    Agreement(
        "trees.probabilities",
        "scikit-learn",
        "largest difference over 300 rows with gaps, three classes, 60 trees",
        largest_score_difference,
        lambda: 0.0,
        absolute=1e-15,
        why="raw scores are equal; the exponential is rounded differently",
    ),
)

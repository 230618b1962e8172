"""Temporal logic beside rtamt, packed trees beside scikit-learn, and a monitor's own time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from benchmarks.racing import Case, Race
from kernels import temporal_logic, trees

RESPONSE = "always[0,100](eventually[0,10](x > 5))"
UNTIL = "(x > 2) until[0,50] (x > 5)"
CHUNK = 100
CHUNKS = 20


def walk(count: int) -> NDArray[np.float64]:
    """A random walk that crosses the thresholds now and then."""
    steps: NDArray[np.float64] = np.random.default_rng(count).normal(size=count)
    return np.cumsum(steps) % 20 - 5


def _rtamt(text: str, x: NDArray[np.float64]) -> Callable[[], object]:
    """Rtamt's offline evaluation of a parsed specification, on its own kind of input."""
    logging.getLogger().setLevel(logging.ERROR)  # it tells of every declaration
    specification = import_module("rtamt").StlDiscreteTimeSpecification()
    specification.declare_var("x", "float")
    specification.spec = text
    specification.parse()
    return partial(specification.evaluate, {"time": list(range(x.size)), "x": x.tolist()})


def _robustness(text: str, count: int) -> Race:
    x = walk(count)
    return Race(
        partial(temporal_logic.robustness, temporal_logic.parse(text), {"x": x}), _rtamt(text, x)
    )


def _monitor(text: str, *, intervals: bool) -> Race:
    """One monitor that goes on and on, chunk after chunk."""
    x = walk(CHUNK * CHUNKS)
    chunks = [{"x": part.copy()} for part in x.reshape(CHUNKS, CHUNK)]
    monitor = temporal_logic.Monitor(text, intervals=intervals)

    def watch() -> None:
        for chunk in chunks:
            monitor.update(chunk)

    return Race(watch)


def _verdicts(count: int) -> Race:
    formula = temporal_logic.parse("G(p -> F[0,10] q)")
    steps = np.arange(count)
    trace = {"p": steps % 5 == 0, "q": steps % 7 != 0}
    return Race(partial(temporal_logic.verdict, formula, trace))


def _trees(method: str) -> Race:
    """Five classes of ten features, one row after the other, as a scheduler asks."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(2000, 10))
    target = np.digitize(rows[:, 0] + rows[:, 1] * rows[:, 2], [-1, -0.3, 0.3, 1])
    model = import_module("sklearn.ensemble").HistGradientBoostingClassifier(
        max_iter=40, max_leaf_nodes=15, random_state=0
    )
    model.fit(rows, target)
    packed, row = trees.pack(model), rows[7].copy()
    if method == "alone":
        return Race(partial(packed.raw, row))
    return Race(partial(packed.probabilities, row), partial(model.predict_proba, rows[7:8]))


CASES = (
    Case(
        "stl_robustness_vs_rtamt",
        partial(_robustness, RESPONSE, 1000),
        ("rtamt",),
        note=f"{RESPONSE}, 1 000 samples, both parsed before",
    ),
    Case(
        "stl_robustness_10000_vs_rtamt",
        partial(_robustness, RESPONSE, 10_000),
        ("rtamt",),
        note=f"{RESPONSE}, 10 000 samples",
        rounds=5,
    ),
    Case(
        "stl_until_vs_rtamt",
        partial(_robustness, UNTIL, 1000),
        ("rtamt",),
        note=f"{UNTIL}, 1 000 samples",
        rounds=3,
    ),
    Case(
        "stl_monitor_us",
        partial(_monitor, RESPONSE, intervals=True),
        unit="µs",
        per=CHUNK * CHUNKS,
        note=f"{RESPONSE}, per sample in chunks of {CHUNK}, bounds of open positions included",
    ),
    Case(
        "stl_monitor_final_us",
        partial(_monitor, RESPONSE, intervals=False),
        unit="µs",
        per=CHUNK * CHUNKS,
        note="the same, final values only",
    ),
    Case(
        "ltl_verdict_ns",
        partial(_verdicts, 100_000),
        unit="ns",
        per=100_000,
        note="G(p -> F[0,10] q), per sample of 100 000, automaton built before",
    ),
    Case(
        "trees_vs_sklearn",
        partial(_trees, "race"),
        ("scikit-learn",),
        note="probabilities of one row, 200 trees of 15 leaves",
        rounds=5,
    ),
    Case(
        "trees_us",
        partial(_trees, "alone"),
        ("scikit-learn",),
        unit="µs",
        note="raw scores of one row, 200 trees of 15 leaves",
    ),
)

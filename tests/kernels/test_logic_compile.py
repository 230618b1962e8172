"""The kernels of formulas, trees and forecasts are compiled once, whatever they are given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from kernels import forecast, temporal_logic, trees, warm
from kernels.compile import KERNELS, compiled_signatures
from tests.kernels.strategies import in_other_clothes

ROOT = Path(__file__).resolve().parents[2]
FORMULAS = (
    "G[0,300](x > 0.5 U[1,2] p) | x + y > 1",
    "G(x > 0 -> F[0,3] y != 0) & O[1,4] p",
    "p S[2,5] (x >= y) | H x > 0",
    "true",
)
TREE = {
    "nodes": [[0, 1, 2, 1, -1], [-1, 0, 0, 0, -1], [-1, 0, 0, 0, -1]],
    "values": [0.5, -1, 1],
    "sets": [],
    "roots": [0],
    "start": [0],
    "categorical": [],
    "offsets": [0],
    "categories": [],
}


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="numba is disabled")
def test_every_kernel_is_compiled_for_one_signature_whatever_the_input():
    warm.warm()
    before = {name: compiled_signatures(k) for name, k in KERNELS.items()}
    x = np.round(np.random.default_rng(0).normal(size=60) * 8)

    for other in [*in_other_clothes(x), x.astype(np.float32), x.astype(np.int16)]:
        trace = {"x": other, "y": x[::-1], "p": x > 0}
        for text in FORMULAS:
            temporal_logic.robustness(text, trace)
            temporal_logic.explain(text, trace)
            temporal_logic.verdict(f"G({text.replace('300', '3')})", trace)
            monitor = temporal_logic.Monitor(text)
            monitor.update(trace)
            monitor.update({"x": [], "y": [], "p": []})
            monitor.finish()
        for season in ("additive", "multiplicative"):
            forecast.holt_winters(np.abs(other) + 1, 3, 4, season)
            forecast.compare(np.abs(other) + 1, 3, 4, 2, season)
        head = {"format": 1, "features": 60, "link": "identity", "labels": []}
        trees.from_dict({**head, "arrays": TREE}).raw(other)

    after = {name: compiled_signatures(k) for name, k in KERNELS.items()}
    assert after == before
    assert max(after.values()) == 1


def test_without_compiling_and_with_bounds_checked_the_answers_are_the_same():
    program = """
import json, numpy as np
from kernels import forecast, temporal_logic as logic
random = np.random.default_rng(1)
trace = {"x": random.normal(size=300), "y": random.normal(size=300), "p": random.random(300) < .6}
answers = []
for text in FORMULAS:
    monitor = logic.Monitor(text)
    update = monitor.update(trace)
    values = [logic.robustness(text, trace), update.robustness, update.upper, update.lower]
    values += [monitor.finish().robustness, logic.outcomes(text.replace("300", "3"), trace)]
    answers.append([value.tolist() for value in values])
x = np.abs(trace["x"]) + 1
for season in ("additive", "multiplicative"):
    found = forecast.holt_winters(x, 5, 6, season)
    answers.append([np.round(found.values, 9).tolist(), np.round(found.upper, 9).tolist()])
print(json.dumps(answers))
""".replace("FORMULAS", repr(FORMULAS))
    answers = []
    for setting in ({"NUMBA_DISABLE_JIT": "1"}, {"NUMBA_BOUNDSCHECK": "1"}):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **setting},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout))

    assert answers[0] == answers[1]

"""Attractor analysis beside nolds and neurokit2, and against its time limits."""

from __future__ import annotations

from functools import partial
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from benchmarks.racing import Case, Race
from kernels import attractor

_LAG, _DIMENSION, _THEILER, _STEPS = 5, 5, 10, 28


def lorenz(count: int) -> NDArray[np.float64]:
    """The x coordinate of the Lorenz system every 0.01 time units, by fourth-order Runge-Kutta."""

    def rate(s: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([10 * (s[1] - s[0]), s[0] * (28 - s[2]) - s[1], s[0] * s[1] - 8 / 3 * s[2]])

    state, out, h = np.array([1.0, 2.0, 20.0]), np.empty(count), 0.01
    for i in range(-1000, count):
        k1 = rate(state)
        k2 = rate(state + h / 2 * k1)
        k3 = rate(state + h / 2 * k2)
        k4 = rate(state + h * k3)
        state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        if i >= 0:
            out[i] = state[0]
    return out


def _rosenstein(count: int) -> Race:
    x = lorenz(count)
    nolds = import_module("nolds")
    return Race(
        partial(
            attractor.lyapunov_rosenstein,
            x,
            dimension=_DIMENSION,
            lag=_LAG,
            theiler=_THEILER,
            horizon=_STEPS,
        ),
        partial(
            nolds.lyap_r,
            x,
            emb_dim=_DIMENSION,
            lag=_LAG,
            min_tsep=_THEILER,
            trajectory_len=_STEPS,
            fit="poly",
        ),
    )


def _analyze(mode: attractor.Mode, count: int) -> Race:
    return Race(partial(attractor.analyze, lorenz(count), mode, 0.01))


_EQUAL = f"equal parameters: dimension {_DIMENSION}, lag {_LAG}, {_STEPS} steps; the fit included"

CASES = (
    Case(
        "lyapunov_rosenstein_vs_nolds",
        partial(_rosenstein, 1000),
        ("nolds",),
        note=f"1 000 samples of Lorenz x; {_EQUAL}",
    ),
    Case(
        "lyapunov_rosenstein_5000_vs_nolds",
        partial(_rosenstein, 5000),
        ("nolds",),
        note=f"5 000 samples of Lorenz x; {_EQUAL}",
        rounds=5,
    ),
    Case("analyze_fast_ms", partial(_analyze, "fast", 1024), note="1 024 samples of Lorenz x"),
    Case("analyze_normal_ms", partial(_analyze, "normal", 2048), note="2 048 samples of Lorenz x"),
)

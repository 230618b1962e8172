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


def _correlation(count: int) -> Race:
    x = lorenz(count)
    nolds = import_module("nolds")
    deviation = float(x.std(ddof=1))
    radii = nolds.logarithmic_r(0.1 * deviation, 0.5 * deviation, 1.03)
    return Race(
        partial(
            attractor.correlation_dimension,
            x,
            dimension=_DIMENSION,
            lag=_LAG,
            theiler=0,
            radii=np.array(radii) / x.std(),
        ),
        partial(nolds.corr_dim, x, _DIMENSION, lag=_LAG, rvals=radii, fit="poly"),
    )


def _recurrence(count: int) -> Race:
    x = lorenz(count)
    neurokit2 = import_module("neurokit2")
    radius = 0.2 * 3**0.5
    return Race(
        partial(attractor.recurrence, x, dimension=3, lag=6, radius=radius),
        partial(
            neurokit2.complexity_rqa,
            x,
            dimension=3,
            delay=6,
            tolerance=radius * float(x.std()),
        ),
    )


def _sample_entropy(count: int) -> Race:
    x = lorenz(count)
    antropy = import_module("antropy")
    return Race(
        partial(attractor.sample_entropy, x, 2, 0.2), partial(antropy.sample_entropy, x, order=2)
    )


def _analyze(mode: attractor.Mode, count: int) -> Race:
    return Race(partial(attractor.analyze, lorenz(count), mode, 0.01, reuse=False))


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
    Case(
        "correlation_dimension_vs_nolds",
        partial(_correlation, 2000),
        ("nolds",),
        note="2 000 samples of Lorenz x; equal parameters: every pair, 55 radii",
    ),
    Case(
        "recurrence_vs_neurokit2",
        partial(_recurrence, 1000),
        ("neurokit2",),
        note="1 000 samples of Lorenz x; dimension 3, lag 6, equal radius",
    ),
    Case(
        "sample_entropy_vs_antropy",
        partial(_sample_entropy, 2000),
        ("antropy",),
        note="2 000 samples of Lorenz x; dimension 2, 0.2 standard deviations",
    ),
    Case("analyze_fast_ms", partial(_analyze, "fast", 1024), note="1 024 samples of Lorenz x"),
    Case("analyze_normal_ms", partial(_analyze, "normal", 2048), note="2 048 samples of Lorenz x"),
)

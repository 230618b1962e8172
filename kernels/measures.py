"""Further figures on a recurring series: they decide nothing, but say more."""

from __future__ import annotations

import math

from kernels.chaos import SHORTEST, zero_one_chaos
from kernels.correlation import correlation_dimension
from kernels.embedding_dimension import choose_dimension
from kernels.entropy import sample_entropy
from kernels.fractal import dfa
from kernels.lyapunov import Lyapunov, lyapunov_kantz
from kernels.recurrence import recurrence
from kernels.series import Floats

COMPARED = 1000
"""The latest samples of which all pairs are looked at; ten times as many in the deep mode."""


def measure(
    standard: Floats, estimate: Lyapunov, sample_interval: float, *, deep: bool
) -> dict[str, float]:
    """Figures by name, each a finite number; what cannot be measured is left out."""
    some = standard[-COMPARED * (10 if deep else 1) :]
    figures: dict[str, float | None] = {
        "sample_entropy": sample_entropy(some),
        "dfa": dfa(standard),
        "zero_one": _zero_one(standard, estimate.lag, deep=deep),
    }
    found = correlation_dimension(
        standard,
        lag=estimate.lag,
        dimension=estimate.dimension,
        theiler=estimate.theiler,
        references=2500 if deep else 400,
    )
    figures["correlation_dimension"] = found.dimension
    if some.size > 2 * (estimate.dimension - 1) * estimate.lag + 2:
        lines = recurrence(
            some[-COMPARED * (5 if deep else 1) :], dimension=estimate.dimension, lag=estimate.lag
        )
        figures |= {
            "recurrence_rate": lines.RR,
            "recurrence_determinism": lines.DET,
            "laminarity": lines.LAM,
        }
    if deep:
        figures["kantz_exponent"] = lyapunov_kantz(
            standard,
            lag=estimate.lag,
            dimension=estimate.dimension,
            references=5000,
            sample_interval=sample_interval,
        ).exponent
        figures["cao_dimension"] = _cao(standard, estimate.lag)
    return {
        name: float(value)
        for name, value in figures.items()
        if value is not None and math.isfinite(value)
    }


def _zero_one(standard: Floats, lag: int, *, deep: bool) -> float:
    """The 0-1 test on as many coarse samples as the mode affords."""
    every = min(lag, standard.size // SHORTEST)
    some = standard[-(standard.size if deep else 600) * every :]
    return zero_one_chaos(some, every=every, frequencies=50 if deep else 20)


def _cao(standard: Floats, lag: int) -> float | None:
    try:
        return float(choose_dimension(standard, lag))
    except ValueError:  # too few samples for ten dimensions at this lag
        return None

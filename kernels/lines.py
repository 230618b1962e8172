"""The straight part of a curve: found by looking at every window, not assumed.

A window is good when the curve rises a lot within it and scatters little about a line. One best
window is a lottery (many are nearly as good, with slopes some per cent apart), so the slope is
the mean over all windows, weighted steeply by how good each is. That mean is linear in the curve:
one coefficient per point says how much the point counts, and the same coefficients applied to
curves of fewer pairs give the jackknife.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernels.compile import jit
from kernels.series import Floats

SHORTEST = 5
"""Points in a window: fewer make a line of any curve."""

SCATTER_FLOOR = 0.02
"""Below this, a smaller residual no longer speaks for a window against a longer one."""


@dataclass(frozen=True, slots=True)
class Line:
    """The best window (first and last index) and the coefficients of the mean slope."""

    start: int
    stop: int
    coefficients: Floats


def straightest(x: Floats, y: Floats, first: int, ceiling: float) -> Line | None:
    """The straight part from index `first` on where `y` stays up to `ceiling`; None if none rises.

    Both in nats: the score of a window is rise^1.5 / (residual + floor).
    """
    start, stop, coefficients = _straightest(x, y, first, ceiling, SHORTEST)
    return Line(start, stop, coefficients) if start >= 0 else None


def fit_line(x: Floats, y: Floats) -> tuple[float, float, float]:
    """Slope, root mean squared residual and R squared of the least-squares line."""
    t, c = x - x.mean(), y - y.mean()
    slope = float(t @ c / (t @ t))
    residual = c - slope * t
    total = float(c @ c)
    return (
        slope,
        float(np.sqrt(residual @ residual / t.size)),
        1 - float(residual @ residual) / total if total else 1.0,
    )


def line_coefficients(x: Floats, start: int, stop: int) -> Floats:
    """What the least-squares slope over one window multiplies each point with."""
    window = slice(start, stop + 1)
    t = x[window] - x[window].mean()
    coefficients = np.zeros_like(x)
    coefficients[window] = t / (t @ t)
    return coefficients


@jit
def _straightest(
    x: Floats, y: Floats, first: int, ceiling: float, shortest: int
) -> tuple[int, int, Floats]:
    """Two passes over all windows: the best score, then the weighted mean of the good ones.

    The slope of a window is the sum of y (x - mean) / variance; adding its two constants at its
    first point and taking them away after its last sums all windows in constant time each.
    """
    best = 0.0
    start = stop = -1
    slopes = np.zeros(x.size + 1)
    levels = np.zeros(x.size + 1)
    whole = 0.0
    for sweep in range(2):
        for a in range(first, x.size - shortest + 1):
            count = 0.0
            mean_x = mean_y = var_x = var_y = cov = 0.0
            for b in range(a, x.size):
                if y[b] > ceiling:
                    break
                count += 1.0
                step_x = x[b] - mean_x
                step_y = y[b] - mean_y
                mean_x += step_x / count
                mean_y += step_y / count
                var_x += step_x * (x[b] - mean_x)
                var_y += step_y * (y[b] - mean_y)
                cov += step_x * (y[b] - mean_y)
                if b - a + 1 < shortest or cov <= 0.0:
                    continue
                slope = cov / var_x
                residual = np.sqrt(max(0.0, var_y - slope * cov) / count)
                rise = slope * (x[b] - x[a])
                score = rise * np.sqrt(rise) / (residual + SCATTER_FLOOR)
                if sweep == 0:
                    if score > best:
                        best = score
                        start = a
                        stop = b
                elif score > 0.4 * best:
                    weight = (score / best) ** 8
                    whole += weight
                    slopes[a] += weight / var_x
                    slopes[b + 1] -= weight / var_x
                    levels[a] += weight * mean_x / var_x
                    levels[b + 1] -= weight * mean_x / var_x
    coefficients = np.zeros(x.size)
    slope = level = 0.0
    for i in range(x.size):
        slope += slopes[i]
        level += levels[i]
        if whole > 0.0:
            coefficients[i] = (slope * x[i] - level) / whole
    return start, stop, coefficients

"""What all encoders see: a series of any length as 256 points of mean 0 and deviation 1."""

from __future__ import annotations

import numpy as np

from kernels.compile import jit
from kernels.series import Floats, Integers

POINTS = 256
"""Of every shape; shorter series are interpolated, longer ones averaged."""


def shapes_of(flat: Floats, offsets: Integers) -> tuple[Floats, Floats]:
    """Shapes (count, POINTS) of the series that begin at `offsets`, and their levels (count, 2).

    A level is the mean and the deviation before standardising, as signed logarithms. A constant
    series has zeros for its shape.
    """
    count = offsets.size - 1
    shapes, levels = np.empty((count, POINTS)), np.empty((count, 2))
    _shapes(flat, offsets, shapes, levels)
    return shapes, levels


@jit
def _shapes(flat: Floats, offsets: Integers, shapes: Floats, levels: Floats) -> None:
    for row in range(offsets.size - 1):
        x = flat[offsets[row] : offsets[row + 1]].copy()
        peak, mean, deviation = _standardise(x)
        mean *= peak
        deviation *= peak
        levels[row, 0] = np.log1p(mean) if mean > 0 else -np.log1p(-mean)
        levels[row, 1] = np.log1p(deviation)
        shape = _resample(x, shapes.shape[1])
        _standardise(shape)
        shapes[row, :] = shape


@jit
def _standardise(x: Floats) -> tuple[float, float, float]:
    """In place as `series.standardise`; the largest magnitude, and mean and deviation over it."""
    n = x.size
    peak = 0.0
    for i in range(n):
        peak = max(peak, abs(x[i]))
    if peak == 0.0:
        return 1.0, 0.0, 0.0
    mean = 0.0
    for i in range(n):
        x[i] /= peak
        mean += x[i]
    mean /= n
    squares = 0.0
    for i in range(n):
        x[i] -= mean
        squares += x[i] * x[i]
    deviation = np.sqrt(squares / n)
    if deviation < 4 * 2.220446049250313e-16:
        x[:] = 0.0
        return peak, mean, 0.0
    for i in range(n):
        x[i] /= deviation
    return peak, mean, deviation


@jit
def _resample(x: Floats, points: int) -> Floats:
    """Cell means from two samples per point on, so that nothing aliases; else linear."""
    n = x.size
    out = np.empty(points)
    for p in range(points):
        if n >= 2 * points:
            start = p * n // points
            stop = (p + 1) * n // points
            total = 0.0
            for i in range(start, stop):
                total += x[i]
            out[p] = total / (stop - start)
        else:
            position = p * (n - 1) / (points - 1)
            i = min(int(position), n - 2)
            part = position - i
            out[p] = x[i] * (1.0 - part) + x[i + 1] * part
    return out

"""Does a series come to rest, blow up, or drift away? Asked before any attractor is looked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernels.series import Floats

BLOCKS = 10
AT_REST = 0.05
"""Range of the last tenth, as a share of the whole range, at which a series has settled."""

STEADY = 0.95
"""R squared of ln(range of a block) on time at which growth or decay counts as exponential."""

STRAIGHT = 1 - 1e-9
"""R squared on time from which a drift is a straight line: what is left of it is rounding, also
that of single precision, and says nothing about order."""

_NATS = 0.7
_FLOOR = 1e-9
"""Share of the starting distance under which rounding, not decay, is measured."""


@dataclass(frozen=True, slots=True)
class Settling:
    """`kind`: "constant", "settles" (at `rate` per sample), "grows", "rests", "drifts", "stays"."""

    kind: str
    crossings: int
    rate: float | None = None
    low: float | None = None
    high: float | None = None
    start: int = 0
    stop: int = 0
    r_squared: float = 0.0


def find_settling(standard: Floats) -> Settling:
    """Judge a standardised series of at least 2 * BLOCKS samples."""
    whole = float(np.ptp(standard))
    if whole == 0.0:
        return Settling("constant", 0)
    inner = _inner_range(standard)
    crossings = _count_crossings(standard, inner)
    blocks = standard[: standard.size // BLOCKS * BLOCKS].reshape(BLOCKS, -1)
    ranges = np.ptp(blocks, axis=1)
    change, steadiness = _trend(np.log(np.maximum(ranges, _FLOOR * whole)))
    decays = change < -_NATS and steadiness >= STEADY
    if decays or (ranges[-1] <= AT_REST * whole and _calms(ranges)):
        return _decay(standard, crossings)
    if change > _NATS and steadiness >= STEADY:
        return Settling("grows", crossings)
    if inner[0] == inner[1]:  # spikes over a flat line
        return Settling("rests", crossings)
    straightness = _trend(standard)[1]
    if crossings < 4 or straightness >= 0.99:
        return Settling("drifts", crossings, r_squared=straightness)
    return Settling("stays", crossings)


def _calms(ranges: Floats) -> bool:
    """Whether the blocks calm down one after the other: one outlier early on is no decay."""
    loudest = int(np.argmax(ranges))
    later = ranges[loudest:]
    return loudest < BLOCKS // 2 and bool(
        np.all(later[1:] <= 1.5 * later[:-1] + _FLOOR * ranges[loudest])
    )


def _inner_range(x: Floats) -> tuple[float, float]:
    """The 5 % and the 95 % quantile."""
    last = x.size - 1
    edges = (int(0.05 * last), int(0.95 * last))
    low, high = np.partition(x, edges)[list(edges)]  # np.quantile takes ten times as long
    return float(low), float(high)


def _count_crossings(x: Floats, inner: tuple[float, float]) -> int:
    """How often the series crosses the middle of its inner range, with hysteresis."""
    low, high = inner
    middle, margin = (low + high) / 2, (high - low) * 0.05
    sides = np.sign(x - middle)[np.abs(x - middle) > margin]
    return int(np.count_nonzero(np.diff(sides)))


def _trend(values: Floats) -> tuple[float, float]:
    """Total change along the least-squares line, and R squared."""
    t = np.arange(values.size) - (values.size - 1) / 2
    centred = values - values.mean()
    slope = float(t @ centred / (t @ t))
    total = float(centred @ centred)
    return slope * values.size, slope * slope * float(t @ t) / total if total > 0 else 0.0


def _decay(standard: Floats, crossings: int) -> Settling:
    """The rate at which the largest later distance from the resting value shrinks."""
    rest = float(standard[-max(1, standard.size // 20) :].mean())
    envelope = np.maximum.accumulate(np.abs(standard - rest)[::-1])[::-1]
    tail = float(envelope[-max(1, standard.size // 10)])
    start = int(np.argmax(envelope < envelope[0])) if envelope[-1] < envelope[0] else 0
    usable = np.flatnonzero(envelope > max(_FLOOR * envelope[0], 5 * tail))
    stop = int(usable[-1]) if usable.size else 0
    if stop - start < 4:
        return Settling("settles", crossings)
    logs = np.log(envelope[start : stop + 1])
    change, r_squared = _trend(logs)
    slope = change / logs.size
    error = 2 * abs(slope) * np.sqrt(max(0.0, 1 / max(r_squared, 1e-9) - 1) / (logs.size - 2))
    return Settling(
        "settles", crossings, slope, slope - error, slope + error, start, stop, r_squared
    )

"""Does a series repeat, or is it a sum of a few tones? Evidence for cycles and tori."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernels.compile import jit
from kernels.series import Floats

LONGEST_SUBHARMONIC = 8
"""The strongest tone may be this harmonic of the true period, no higher."""

MOST_LINES = 12
CYCLES_PER_LINE = 5
"""A line is 5 bins wide; fewer cycles per line and a few lines would cover any smooth spectrum."""

_GRID = 21


@dataclass(frozen=True, slots=True)
class Periodicity:
    """How well the best period (samples) predicts, near and far, and how few tones suffice.

    `near` and `far` are 1 minus the squared mismatch with the series one, and very many, periods
    away, in units of twice the variance: 1 repeats exactly, 0 is unrelated. `lines` tones hold
    the share `line_power` of the power; `commensurate` if all are harmonics of one.
    """

    period: float
    near: float
    far: float
    lines: int
    line_power: float
    commensurate: bool


def find_periodicity(standard: Floats) -> Periodicity:
    """Measure a standardised series of at least 16 samples; FFT plus a search around its peak."""
    n = standard.size
    power = np.abs(np.fft.rfft(standard * np.hanning(n))) ** 2
    power[:2] = 0.0
    total = float(power.sum())
    peak = int(np.argmax(power))
    if total <= 0.0 or peak < 2:
        return Periodicity(float(n), 0.0, 0.0, 0, 0.0, commensurate=False)
    bins = np.arange(power.size)
    lines, held = _find_lines(power, total, float(power @ bins) / total)
    period, near, far = _best_period(standard, _refine(power, peak))
    return Periodicity(period, near, far, len(lines), held, _share_a_fundamental(lines))


def _refine(power: Floats, peak: int) -> float:
    """The frequency (bins) between two FFT bins, from the ratio of a Hann window's neighbours."""
    left = power[peak - 1]
    right = power[peak + 1] if peak + 1 < power.size else 0.0
    ratio = float(np.sqrt(max(left, right) / power[peak]))
    shift = max(0.0, (2 * ratio - 1) / (ratio + 1))
    return peak + (shift if right >= left else -shift)


def _find_lines(power: Floats, total: float, centre: float) -> tuple[list[float], float]:
    """Strongest peaks of 5 bins, until they hold 97 % of the power or no more are allowed."""
    allowed = int(min(MOST_LINES, max(1.0, centre // CYCLES_PER_LINE)))
    left = power.copy()
    held = 0.0
    lines: list[float] = []
    while len(lines) < allowed and held < 0.97 * total:
        peak = int(np.argmax(left))
        lines.append(_refine(power, max(1, peak)) if left[peak] > 0 else float(peak))
        around = slice(max(0, peak - 2), peak + 3)
        held += float(left[around].sum())
        left[around] = 0.0
    return lines, held / total


def _share_a_fundamental(lines: list[float]) -> bool:
    """Whether all are harmonics of a low subharmonic of the strongest, to a tenth of a bin."""
    for divisor in range(1, LONGEST_SUBHARMONIC + 1):
        fundamental = lines[0] / divisor
        if divisor > 1 and fundamental < 3.0:
            return False
        orders = [round(line / fundamental) for line in lines]
        misses = [
            abs(line - order * fundamental) for line, order in zip(lines, orders, strict=True)
        ]
        if all(o > 0 and miss <= 0.1 + 0.005 * o for o, miss in zip(orders, misses, strict=True)):
            return True
    return False


def _best_period(standard: Floats, frequency: float) -> tuple[float, float, float]:
    """The shortest period, among subharmonics of the peak, that predicts almost as well as any."""
    n = standard.size
    found: list[tuple[float, float, float]] = []
    for divisor in range(1, LONGEST_SUBHARMONIC + 1):
        cycles = frequency / divisor
        if cycles < 3.0:
            break
        candidates = n / (cycles + np.linspace(-0.12, 0.12, _GRID))
        far = 1.0 - _mismatches(standard, candidates, 1)
        best = int(np.argmax(far))
        near = 1.0 - float(_mismatches(standard, candidates[best : best + 1], 0)[0])
        found.append((float(candidates[best]), near, float(far[best])))
        if min(near, far[best]) > 0.999:
            break
    if not found:
        return n / frequency, 0.0, 0.0
    ceiling = max(min(entry[1:]) for entry in found)
    return next(entry for entry in found if min(entry[1:]) >= ceiling - 0.01)


@jit
def _mismatches(x: Floats, periods: Floats, far: int) -> Floats:
    """Squared difference of x and itself, shifted by a multiple of each period, over their energy.

    Of the multiples between a quarter and a half of the series (far = 1), or the first eight
    (far = 0), the one nearest to a whole number of samples; the rest is interpolated.
    """
    n = x.size
    out = np.empty(periods.size)
    for p in range(periods.size):
        period = periods[p]
        first = 1
        last = 8
        if far == 1:
            last = max(1, int(0.5 * n / period))
            first = max(1, int(np.ceil(0.25 * n / period)))
            first = min(first, last)
            last = min(last, first + 24)
        best = np.inf
        shift = period
        for k in range(first, last + 1):
            lag = k * period
            off = abs(lag - np.round(lag))
            if lag < 0.6 * n and off < best - 1e-9:
                best = off
                shift = lag
        whole = int(np.floor(shift))
        part = shift - whole
        count = n - whole - 1
        total = 0.0
        energy = 0.0
        for i in range(count):
            later = x[i + whole] * (1.0 - part) + x[i + whole + 1] * part
            difference = x[i] - later
            total += difference * difference
            energy += x[i] * x[i] + later * later
        out[p] = total / energy if energy > 0.0 else 1.0
    return out

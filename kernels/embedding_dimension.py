"""How many delayed samples make a state: enough that neighbours stay neighbours in one more.

Cao (1997) looks at how much the distance of neighbours grows with one more coordinate (E1, which
stops changing at the right dimension) and at what the added coordinate alone does (E2, which is 1
throughout for noise). Kennel, Brown & Abarbanel (1992) count the neighbours that are false.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from kernels.compile import jit
from kernels.delay import choose_lag, delay_embed, mean_period
from kernels.neighbours import check_work, nearest_apart
from kernels.series import Floats, Integers, as_count, as_series, standardise

DimensionMethod = Literal["cao", "false_neighbours"]

ENOUGH = 0.9
"""Of its last value: where E1 has stopped changing."""

NOISE = 0.08
"""Largest distance of E2 from 1 at which no coordinate depends on those before it."""

STRETCH = 15.0
"""Kennel's first criterion: a neighbour is false if one more coordinate takes it this far."""

SIZE = 2.0
"""The second: or if it then is this many standard deviations away."""

FALSE_SHARE = 0.01
EQUAL = 1e-9
"""Standard deviations; a mean distance below this is rounding in a series that repeats."""

REFERENCES = 1000


@dataclass(frozen=True, slots=True)
class Neighbourhoods:
    """Per dimension 1, 2, …: Cao's E1 and E2, and the share of false neighbours."""

    e1: tuple[float, ...]
    e2: tuple[float, ...]
    false_shares: tuple[float, ...]
    lag: int
    noisy: bool
    """No coordinate depends on those before it, in any dimension."""


def choose_dimension(
    x: ArrayLike,
    lag: int | None = None,
    method: DimensionMethod = "cao",
    maximum: int = 10,
) -> int:
    """The smallest dimension (1 to `maximum`) whose delay vectors at `lag` tell states apart.

    "cao": where E1 stops changing; `maximum` if E2 shows noise, which fills any dimension.
    "false_neighbours": where fewer than 1 % are false, else `maximum`. 1 for a constant series.
    Lag by autocorrelation when left out. Raises ValueError for a series too short to tell.
    """
    if method not in get_args(DimensionMethod):
        choices = ", ".join(get_args(DimensionMethod))
        raise ValueError(f"method is {method!r}; choose one of {choices}")
    found = neighbourhoods(x, lag, maximum)
    if not found.e1:
        return 1
    if method == "false_neighbours":
        few = [d for d, share in enumerate(found.false_shares, 1) if share < FALSE_SHARE]
        return few[0] if few else maximum
    if found.noisy:
        return maximum
    final = float(np.median(found.e1[-3:]))
    return next(d for d, value in enumerate(found.e1, 1) if value >= ENOUGH * min(final, 1.0))


def neighbourhoods(x: ArrayLike, lag: int | None = None, maximum: int = 10) -> Neighbourhoods:
    """The statistics behind `choose_dimension`; empty for a constant series."""
    most = as_count(maximum, "maximum", 1)
    series = as_series(x, minimum=4)
    tau = choose_lag(series) if lag is None else as_count(lag, "lag", 1)
    standard = standardise(series)
    if not standard.any():
        return Neighbourhoods((), (), (), tau, noisy=False)
    theiler = int(min(np.ceil(mean_period(standard)), standard.size // 8))
    if standard.size - (most + 1) * tau < 2 * theiler + 8:
        raise ValueError(
            f"{series.size} samples are too few for {most} dimensions at lag {tau}; pass a longer "
            "series, or a smaller maximum or lag"
        )
    check_work(standard.size, REFERENCES * (most + 1), most + 1)
    rows = np.array([_grow(standard, d, tau, theiler) for d in range(1, most + 2)])
    growth, step, false = rows[:, 0], rows[:, 1], rows[:-1, 2]
    e2 = _ratios(step)
    noisy = bool(step[0] > EQUAL) and max(abs(value - 1) for value in e2) < NOISE
    return Neighbourhoods(tuple(_ratios(growth)), tuple(e2), tuple(false.tolist()), tau, noisy)


def _ratios(values: Floats) -> list[float]:
    """Each next value over this one; 1 where both are zero, as nothing changes."""
    before, after = values[:-1], values[1:]
    safe = np.where(before > 0, before, 1.0)
    ratios = np.where(before > 0, after / safe, np.where(after > 0, np.inf, 1.0))
    return [float(min(value, 1e9)) for value in ratios]


def _grow(standard: Floats, dimension: int, lag: int, theiler: int) -> tuple[float, float, float]:
    """Mean growth of the distance of neighbours, mean added distance, share of false ones."""
    vectors = delay_embed(standard, dimension, lag)
    usable = len(vectors) - lag
    chosen = np.unique(np.linspace(0, usable - 1, min(REFERENCES, usable)).astype(np.int64))
    partners, squared = nearest_apart(vectors, chosen, usable, theiler)
    return _judge(standard, chosen, partners, squared, dimension * lag)


@jit
def _judge(
    x: Floats, references: Integers, partners: Integers, squared: Floats, ahead: int
) -> tuple[float, float, float]:
    growth = step = 0.0
    false = grown = used = 0
    for r in range(references.size):
        if partners[r] < 0:
            continue
        added = abs(x[references[r] + ahead] - x[partners[r] + ahead])
        distance = np.sqrt(squared[r])
        used += 1
        step += added
        longer = np.sqrt(squared[r] + added * added)
        # Equal states up to rounding have no ratio; they are true neighbours if they stay equal.
        if distance > 1e-13:
            growth += longer / distance
            grown += 1
            if added > STRETCH * distance or longer > SIZE:
                false += 1
        elif added > 1e-13:
            false += 1
    if used == 0:
        return 0.0, 0.0, 0.0
    return growth / grown if grown > 0 else 1.0, step / used, false / used

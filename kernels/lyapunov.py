"""The largest Lyapunov exponent of a series, by the divergence of neighbours.

Rosenstein, Collins & De Luca (1993) follow the nearest neighbour of each state:

1. Embed; pair each vector with its nearest neighbour outside the Theiler window.
2. Average the logarithm of the distance of the pairs as time runs on: the divergence curve.
3. Find the straight part of the curve instead of assuming it: neighbours first turn into the
   expanding direction, then separate exponentially, then are as far apart as any two vectors.
   Windows after the embedding window and below saturation are weighted by their rise and
   scatter (`lines`); the weighted mean of their slopes is the exponent.
4. Refit with each sixteenth of the pairs left out (jackknife) for the 95 % interval.

Kantz (1994) follows all neighbours within a radius and averages before taking the logarithm,
which stands more noise; the rest is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernels.delay import choose_lag, delay_embed, fitting_dimension, mean_period
from kernels.divergence import (
    BLOCKS,
    EXACT,
    Curves,
    determinism,
    follow,
    jackknife,
    spread_of_neighbourhoods,
    unrelated,
)
from kernels.lines import fit_line, line_coefficients, straightest
from kernels.neighbours import check_work, nearest_apart, within_apart
from kernels.series import Floats, Integers, as_count, as_interval, as_series, standardise

SATURATION_MARGIN = {"map": (1.0, 1.5), "flow": (1.0, 2.5)}
"""Nats below the distance of unrelated vectors where the slope is still that of the linear part.
A map (lag 1) rises most of a nat at each step and can spare a third of its few points; a flow can
spare all but two nats, and its curve bends early where it folds (Rössler's funnel)."""

MINIMUM_RISE = 0.5
"""Nats; a smaller rise cannot be told from the scatter of a curve of a thousand pairs."""

STRANGERS = "neighbours are strangers at once: noise, or too few samples for this dimension"

STEPS = 80
"""Points of a divergence curve: more cost time and add nothing to the line through them."""

MEASURED = 500
"""Nearest neighbours from which Kantz's radius is taken."""

MOST_NEIGHBOURS = 50

MOST_STATES = 2_000_000
"""Of Kantz's: a list of their neighbours takes 800 MB."""

FEWEST_PAIRS = 16
"""A sixteenth of the pairs is left out at a time."""

FEWEST_STATES = 64
"""Of Kantz's, with a neighbour: four for each sixteenth."""

_T95 = 2.131
"""Student's t for 95 % and 15 degrees of freedom."""


@dataclass(frozen=True, slots=True)
class Lyapunov:
    """An exponent per time unit with its interval and window, or the `problem` why there is none.

    `determinism` is the slope of ln(distance after the embedding window) on ln(distance before),
    near 1 when close states stay close, near 0 when the future forgets them (noise).
    """

    exponent: float | None
    low: float | None
    high: float | None
    fit_start: float
    fit_stop: float
    r_squared: float
    rise: float
    determinism: float
    pairs: int
    dimension: int
    lag: int
    theiler: int
    times: tuple[float, ...]
    curve: tuple[float, ...]
    problem: str = ""

    @property
    def confidence_interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the exponent, by jackknife over sixteenths of the pairs."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def fit_window(self) -> tuple[float, float] | None:
        """From when to when the divergence was straight; None without a curve."""
        return (self.fit_start, self.fit_stop) if self.curve else None


@dataclass(frozen=True, slots=True)
class _Given:
    dimension: int | None
    lag: int | None
    theiler: int | None
    horizon: int | None
    references: int | None


@dataclass(frozen=True, slots=True)
class _Setup:
    dimension: int
    lag: int
    theiler: int
    horizon: int
    interval: float
    references: int


def lyapunov_rosenstein(
    x: ArrayLike,
    *,
    dimension: int | None = None,
    lag: int | None = None,
    theiler: int | None = None,
    horizon: int | None = None,
    references: int | None = None,
    sample_interval: float = 1.0,
) -> Lyapunov:
    """The largest exponent of `x` per unit of `sample_interval`; invariant to scale and offset.

    Left out: lag by autocorrelation, dimension 3 (lag 1) or 5, Theiler window one mean period,
    horizon twelve (samples both), all vectors as references. A constant or too short series
    gives exponent None and the `problem`; invalid values or parameters raise ValueError, so do
    fewer than 16 references, whose scatter would say nothing.
    """
    given = _Given(dimension, lag, theiler, horizon, _enough(references, FEWEST_PAIRS))
    standard, setup = _prepare(x, given, sample_interval)
    problem = _unfit(standard, setup)
    return _without(setup, problem) if problem else _estimate(standard, setup)


def lyapunov_kantz(
    x: ArrayLike,
    *,
    dimension: int | None = None,
    lag: int | None = None,
    theiler: int | None = None,
    horizon: int | None = None,
    references: int | None = None,
    radius: float | None = None,
    sample_interval: float = 1.0,
) -> Lyapunov:
    """As `lyapunov_rosenstein`, with all neighbours within `radius` (standard deviations).

    Left out, the radius is three times the median distance of nearest neighbours. At most 50
    neighbours of a state are followed; `pairs` counts states. At least 64 references.
    """
    if radius is not None and not (np.isfinite(radius) and radius > 0):
        raise ValueError(f"radius is {radius}; pass a positive number of standard deviations")
    given = _Given(dimension, lag, theiler, horizon, _enough(references, FEWEST_STATES))
    standard, setup = _prepare(x, given, sample_interval)
    problem = _unfit(standard, setup)
    return _without(setup, problem) if problem else _spread(standard, setup, radius)


def _prepare(x: ArrayLike, given: _Given, interval: float) -> tuple[Floats, _Setup]:
    series = as_series(x)
    unit = as_interval(interval)
    checked = _Given(
        dimension=_optional(given.dimension, "dimension", 1),
        lag=_optional(given.lag, "lag", 1),
        theiler=_optional(given.theiler, "theiler", 0),
        horizon=_optional(given.horizon, "horizon", 1),
        references=given.references,
    )
    standard = standardise(series)
    if not standard.any():
        return standard, _Setup(1, 1, 0, 0, unit, 0)
    return standard, _complete(checked, standard, unit)


def _unfit(standard: Floats, setup: _Setup) -> str:
    """Why no exponent can be looked for; empty when one can."""
    if not standard.any():
        return "the series is constant"
    if _usable(standard, setup) < max(20, 2 * setup.theiler + 2):
        return (
            f"{standard.size} samples are too few for dimension {setup.dimension}, "
            f"lag {setup.lag}, Theiler window {setup.theiler} and horizon {setup.horizon}"
        )
    return ""


def _usable(standard: Floats, setup: _Setup) -> int:
    """How many delay vectors can be followed up to the horizon."""
    return standard.size - (setup.dimension - 1) * setup.lag - setup.horizon


def _references(usable: int, wanted: int) -> Integers:
    if wanted >= usable:
        return np.arange(usable, dtype=np.int64)
    return np.unique(np.linspace(0, usable - 1, wanted).astype(np.int64))


def _steps(setup: _Setup) -> Integers:
    return np.arange(0, setup.horizon + 1, max(1, setup.horizon // STEPS), dtype=np.int64)


def _enough(references: int | None, fewest: int) -> int | None:
    if references is not None and as_count(references, "references", 1) < fewest:
        raise ValueError(
            f"references is {references}; an exponent with its interval needs at least {fewest}, "
            "leave it out to take all"
        )
    return _optional(references, "references", fewest)


def _optional(value: int | None, name: str, minimum: int) -> int | None:
    return None if value is None else as_count(value, name, minimum)


def _complete(given: _Given, standard: Floats, interval: float) -> _Setup:
    """What was not given, chosen from the series."""
    known = given.theiler is not None and given.horizon is not None
    period = 0.0 if known else mean_period(standard)
    lag = given.lag or choose_lag(standard)
    spare = int(min(np.ceil(period), standard.size // 8))
    return _Setup(
        dimension=given.dimension or fitting_dimension(lag),
        lag=lag,
        theiler=spare if given.theiler is None else given.theiler,
        horizon=given.horizon or int(min(standard.size // 4, max(30.0, 12 * period))),
        interval=interval,
        references=given.references or standard.size,
    )


def _estimate(standard: Floats, setup: _Setup) -> Lyapunov:
    usable = _usable(standard, setup)
    chosen = _references(usable, setup.references)
    check_work(usable, chosen.size, setup.dimension)
    vectors = delay_embed(standard, setup.dimension, setup.lag)
    partners, squared = nearest_apart(vectors, chosen, usable, setup.theiler)
    both = np.stack([chosen, partners], axis=1)
    distinct = squared > EXACT
    if distinct.sum() < max(FEWEST_PAIRS, chosen.size // 5):
        return _repeated(vectors, both, distinct, setup)
    # By column: to choose among rows of two takes numpy ten times as long.
    pairs = np.stack([chosen[distinct], partners[distinct]], axis=1)
    ceiling = unrelated(vectors[:usable])
    later = setup.dimension * setup.lag
    memory = determinism(vectors, pairs, squared[distinct], later)
    curves = follow(standard, vectors, pairs, _steps(setup), setup.lag)
    return _fit(curves, (setup.dimension - 1) * setup.lag, ceiling, setup, memory)


def _spread(standard: Floats, setup: _Setup, radius: float | None) -> Lyapunov:
    """Kantz: the mean distance of all neighbours, in the newest sample of each state."""
    usable = _usable(standard, setup)
    some = _references(usable, MEASURED)
    chosen = _references(usable, setup.references)
    check_work(usable, chosen.size, setup.dimension)
    if chosen.size > MOST_STATES:
        raise ValueError(f"{chosen.size} references are more than {MOST_STATES}; pass fewer")
    vectors = delay_embed(standard, setup.dimension, setup.lag)
    partners, squared = nearest_apart(vectors, some, usable, setup.theiler)
    both = np.stack([some, partners], axis=1)
    distinct = squared > EXACT
    if distinct.sum() < max(FEWEST_PAIRS, some.size // 5):
        return _repeated(vectors, both, distinct, setup)
    later = setup.dimension * setup.lag
    memory = determinism(vectors, both[distinct], squared[distinct], later)
    reach = 9.0 * float(np.median(squared[distinct])) if radius is None else float(radius) ** 2
    starts, found = within_apart(vectors, chosen, usable, setup.theiler, reach, MOST_NEIGHBOURS)
    accompanied = int(np.count_nonzero(np.diff(starts)))
    if accompanied < FEWEST_STATES:
        return _without(
            setup,
            f"too few states ({accompanied} of {chosen.size}) have a neighbour within the radius, "
            f"{FEWEST_STATES} are needed; pass a larger radius or more references",
        )
    newest = (setup.dimension - 1) * setup.lag
    ceiling = unrelated(standard[:, None])
    curves = spread_of_neighbourhoods(
        standard, chosen + newest, (starts, found + newest), _steps(setup)
    )
    return _fit(curves, setup.lag, ceiling, setup, memory)


def _repeated(
    vectors: Floats, both: Integers, distinct: NDArray[np.bool_], setup: _Setup
) -> Lyapunov:
    """Equal states: of a cycle if they stay equal, of noise or coarse values if they part."""
    if distinct.sum() > distinct.size // 2:
        return _without(setup, "too few states differ from their neighbour; pass more references")
    pairs = both[~distinct]
    later = min(setup.dimension * setup.lag, setup.horizon)
    after = np.sum((vectors[pairs[:, 0] + later] - vectors[pairs[:, 1] + later]) ** 2, axis=1)
    parted = float(np.mean(after)) / (2 * setup.dimension)
    if parted < 1e-6:
        return _flat(setup, "the series repeats exactly")
    result = _without(setup, "equal states have different futures: noise, or values too coarse")
    return replace(result, determinism=float(np.clip(1 - parted, 0.0, 1.0)))


def _fit(curves: Curves, transient: int, ceiling: float, setup: _Setup, memory: float) -> Lyapunov:
    """The exponent from the straight part after `transient` samples and below saturation."""
    counts = curves.counts.sum(axis=0)
    if counts.min() < BLOCKS:
        if counts.min() > counts[0] // 2:
            return _without(setup, "too few neighbours stay apart; pass more references")
        return _flat(setup, "the series repeats exactly")
    curve = curves.mean()
    times: Floats = curves.steps.astype(np.float64) * setup.interval
    first = min(int(np.searchsorted(curves.steps, transient)), curve.size - 2)
    ceiling -= _margin(float(ceiling - curve[first]), setup.lag)
    line = straightest(times, curve, first, ceiling)
    rise = curve[line.stop] - curve[line.start] if line else 0.0
    problem = ""
    if line and rise >= MINIMUM_RISE:
        start, stop, coefficients = line.start, line.stop, line.coefficients
    else:
        start, stop = first, curve.size - 1
        coefficients = line_coefficients(times, start, stop)
        if curve[first] > ceiling:
            problem = STRANGERS
        elif abs(curve[stop] - curve[first]) >= MINIMUM_RISE:
            problem = "no straight part: the distances change, but not exponentially"
    window = slice(start, stop + 1)
    _, residual, r_squared = fit_line(times[window], curve[window])
    slope = float(coefficients @ curve)
    spread = _T95 * jackknife(coefficients, curves)
    if rise < MINIMUM_RISE and not problem:
        slope = (
            0.0 if abs(slope) * (times[stop] - times[start]) <= max(0.1, 3 * residual) else slope
        )
    known = not problem
    return Lyapunov(
        exponent=slope if known else None,
        low=slope - spread if known else None,
        high=slope + spread if known else None,
        fit_start=float(times[start]),
        fit_stop=float(times[stop]),
        r_squared=r_squared,
        rise=float(curve[stop] - curve[start]),
        determinism=memory,
        pairs=int(curves.counts[:, 0].sum()),
        dimension=setup.dimension,
        lag=setup.lag,
        theiler=setup.theiler,
        times=tuple(times.tolist()),
        curve=tuple(curve.tolist()),
        problem=problem,
    )


def _margin(rise: float, lag: int) -> float:
    """How far below saturation a curve that can rise by so many nats is believed."""
    if lag == 1:
        return float(np.clip(rise / 3, *SATURATION_MARGIN["map"]))
    return float(np.clip(rise - 2.0, *SATURATION_MARGIN["flow"]))


def _without(setup: _Setup, problem: str) -> Lyapunov:
    return _bare(setup, None, problem)


def _flat(setup: _Setup, problem: str) -> Lyapunov:
    """Exact repetition: neighbours stay together for ever, so nothing diverges."""
    return _bare(setup, 0.0, problem)


def _bare(setup: _Setup, exponent: float | None, problem: str) -> Lyapunov:
    return Lyapunov(
        exponent=exponent,
        low=exponent,
        high=exponent,
        fit_start=0.0,
        fit_stop=0.0,
        r_squared=0.0,
        rise=0.0,
        determinism=0.0 if exponent is None else 1.0,
        pairs=0,
        dimension=setup.dimension,
        lag=setup.lag,
        theiler=setup.theiler,
        times=(),
        curve=(),
        problem=problem,
    )

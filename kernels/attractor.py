"""What kind of motion is in a series: rest, cycle, torus, chaos or noise, with the evidence.

Questions are asked in an order in which each answer makes the next one meaningful:

1. Does it come to rest (POINT), grow or drift? Then nothing recurs and no attractor is seen.
2. Does it repeat, near and far (LIMIT_CYCLE)?
3. Do neighbours part exponentially, and do close states stay close for a while (STRANGE)?
4. Do a few tones hold nearly all its power (QUASI_PERIODIC)?
5. Is the future independent of the state (STOCHASTIC)? Else UNKNOWN: an honest answer.

Every figure is taken from the standardised series, so units, scale and offset cannot matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from timeit import default_timer
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from kernels.chaos import zero_one_chaos
from kernels.correlation import CorrelationDimension, correlation_dimension
from kernels.delay import average_mutual_information, choose_lag, delay_embed
from kernels.embedding_dimension import choose_dimension
from kernels.entropy import (
    fitting_order,
    multiscale_entropy,
    permutation_entropy,
    sample_entropy,
)
from kernels.fractal import dfa, hurst_rs
from kernels.judging import FEWEST_RETURNS, Verdict, classify
from kernels.lyapunov import Lyapunov, lyapunov_kantz, lyapunov_rosenstein
from kernels.measures import measure
from kernels.periodicity import find_periodicity
from kernels.recurrence import Recurrence, recurrence
from kernels.report import Cost, Kind, Report
from kernels.reuse import Kept, digest
from kernels.series import Floats, as_interval, as_series, standardise
from kernels.settling import STRAIGHT, Settling, find_settling
from kernels.surrogates import shuffle_phases, surrogates

__all__ = [
    "CorrelationDimension",
    "Cost",
    "Kind",
    "Lyapunov",
    "Recurrence",
    "Report",
    "analyze",
    "average_mutual_information",
    "choose_dimension",
    "choose_lag",
    "correlation_dimension",
    "delay_embed",
    "dfa",
    "hurst_rs",
    "lyapunov_kantz",
    "lyapunov_rosenstein",
    "multiscale_entropy",
    "permutation_entropy",
    "recurrence",
    "sample_entropy",
    "surrogates",
    "zero_one_chaos",
]

Mode = Literal["fast", "normal", "deep"]

SHORTEST = 64
"""Below this no class can be told from another; `analyze` refuses."""

ROUGH = 0.8
"""Permutation entropy above which neighbouring samples are in no smooth order."""

_REFERENCES = {"fast": 300, "normal": 4000, "deep": 20_000}
_LONGEST = {"fast": 4096, "normal": 50_000, "deep": 200_000}
_SURROGATES = 19
"""With 19 surrogates, being the most extreme has p = 1/20."""

REPORTS: Kept[Report] = Kept(256)
"""The latest reports; a report is a few kilobytes."""


@dataclass(frozen=True, slots=True)
class _Exponent:
    value: float | None = None
    low: float | None = None
    high: float | None = None
    window: tuple[float, float] | None = None


def analyze(
    x: ArrayLike,
    mode: Mode = "normal",
    sample_interval: float = 1.0,
    *,
    reuse: bool = True,
    clock: Callable[[], float] = default_timer,
) -> Report:
    """Classify a series of at least 64 finite samples taken every `sample_interval` time units.

    "fast" looks at the last 4 096 samples through 300 references, "normal" at 50 000 through
    4 000 and adds dimension, recurrence and entropies, "deep" at 200 000 through 20 000 and adds
    a test against phase-shuffled surrogates. The same series, in whatever unit, is analysed once
    while its report is among the latest 256, unless `reuse` is off. Raises ValueError for NaN,
    infinity, other shapes, too few samples, or an unknown mode.
    """
    begun = clock()
    if mode not in get_args(Mode):
        raise ValueError(f"mode is {mode!r}; choose one of {', '.join(get_args(Mode))}")
    interval = as_interval(sample_interval)
    series = as_series(x, minimum=SHORTEST)[-_LONGEST[mode] :]
    standard = standardise(series)
    key = digest(standard, mode, interval)
    known = REPORTS.get(key) if reuse else None
    if known is not None:
        cost = replace(known.cost, seconds=clock() - begun, reused=True)
        return replace(known, measures=dict(known.measures), cost=cost)
    report = _judge(standard, mode, interval)
    REPORTS.put(key, replace(report, measures=dict(report.measures)))
    return replace(report, cost=replace(report.cost, seconds=clock() - begun))


def _judge(standard: Floats, mode: Mode, sample_interval: float) -> Report:
    blank = Report(
        kind=Kind.UNKNOWN,
        mode=mode,
        samples=int(standard.size),
        sample_interval=sample_interval,
        exponent=None,
        exponent_low=None,
        exponent_high=None,
        fit_window=None,
        entropy=permutation_entropy(standard, fitting_order(standard.size), 1),
        lag=choose_lag(standard),
        dimension=1,
        correlation_dimension=None,
        evidence=(),
        measures={},
    )
    settling = find_settling(standard)
    if settling.kind != "stays":
        return _judge_transient(blank, settling, standard)
    return _judge_motion(blank, settling, standard)


def _judge_transient(blank: Report, settling: Settling, standard: Floats) -> Report:
    step = blank.sample_interval
    if settling.kind == "constant":
        return replace(blank, kind=Kind.POINT, evidence=("every sample has the same value",))
    if settling.kind == "settles":
        known = settling.rate is not None
        return replace(
            blank,
            kind=Kind.POINT,
            exponent=settling.rate / step if settling.rate is not None else None,
            exponent_low=settling.low / step if settling.low is not None else None,
            exponent_high=settling.high / step if settling.high is not None else None,
            fit_window=(settling.start * step, settling.stop * step) if known else None,
            evidence=(
                "the distance from the resting value shrinks to rest or steadily towards it",
            ),
            measures={"decay_r_squared": settling.r_squared, "crossings": settling.crossings},
        )
    measures = {"crossings": float(settling.crossings)}
    if settling.kind == "grows":
        return replace(
            blank, evidence=("the range grows exponentially: no attractor",), measures=measures
        )
    if settling.kind == "rests":
        sentence = "nine of ten samples have the same value: too little is seen of what moves it"
        return replace(blank, evidence=(sentence,), measures=measures)
    if settling.r_squared >= STRAIGHT:
        evidence = ("a straight line: it never returns, so no attractor is seen",)
        return replace(blank, evidence=evidence, measures=measures)
    steps = permutation_entropy(np.diff(standard), fitting_order(standard.size - 1))
    measures["entropy_of_steps"] = steps
    if steps > 0.97:
        evidence = ("the steps have no order: a random walk, or a trend under noise",)
        return replace(blank, kind=Kind.STOCHASTIC, evidence=evidence, measures=measures)
    return replace(
        blank, evidence=("it drifts and does not return: no attractor",), measures=measures
    )


def _judge_motion(blank: Report, settling: Settling, standard: Floats) -> Report:
    cycle = find_periodicity(standard)
    estimate = lyapunov_rosenstein(
        standard,
        lag=blank.lag,
        references=_REFERENCES[blank.mode],
        sample_interval=blank.sample_interval,
    )
    measures = {
        "crossings": float(settling.crossings),
        "period": cycle.period * blank.sample_interval,
        "repeats_near": cycle.near,
        "repeats_far": cycle.far,
        "lines": float(cycle.lines),
        "line_power": cycle.line_power,
        "determinism": estimate.determinism,
        "rise": estimate.rise,
        "r_squared": estimate.r_squared,
        "pairs": float(estimate.pairs),
    }
    kind, evidence = classify(cycle, estimate, _returns(settling, blank.entropy))
    if blank.mode == "deep":
        kind, evidence = _against_surrogates(kind, evidence, standard, estimate, measures)
    if blank.mode != "fast":
        measures |= measure(standard, estimate, blank.sample_interval, deep=blank.mode == "deep")
    exponent = _exponent_of(kind, estimate)
    if exponent.value == 0.0 and (estimate.exponent or 0.0) > 0.0:
        evidence = (*evidence, "neighbours part within a cycle and meet again: nothing grows")
    return replace(
        blank,
        kind=kind,
        exponent=exponent.value,
        exponent_low=exponent.low,
        exponent_high=exponent.high,
        fit_window=exponent.window,
        dimension=estimate.dimension,
        correlation_dimension=measures.get("correlation_dimension"),
        evidence=evidence,
        measures=measures,
        cost=Cost(0.0, references=min(standard.size, _REFERENCES[blank.mode])),
    )


def _returns(settling: Settling, entropy: float) -> int:
    """Crossings of the middle; a rough series shows its nature at every sample instead."""
    return FEWEST_RETURNS if entropy > ROUGH else settling.crossings


def _exponent_of(kind: Kind, estimate: Lyapunov) -> _Exponent:
    """The measured exponent, where the class gives it a meaning; noise has none.

    What surely rises in a motion that repeats is the distance along the jumps of a cycle, not an
    error that grows: the exponent is zero, and the rise says how well that is known.
    """
    if kind in {Kind.STOCHASTIC, Kind.UNKNOWN} and (estimate.exponent or 0.0) <= 0.0:
        return _Exponent()
    if estimate.exponent is None:
        return _Exponent()
    window = (estimate.fit_start, estimate.fit_stop)
    if kind in {Kind.LIMIT_CYCLE, Kind.QUASI_PERIODIC} and (estimate.low or 0.0) > 0.0:
        bound = max(estimate.exponent, estimate.high or 0.0)
        return _Exponent(0.0, -bound, bound, window)
    return _Exponent(estimate.exponent, estimate.low, estimate.high, window)


def _against_surrogates(
    kind: Kind,
    evidence: tuple[str, ...],
    standard: Floats,
    estimate: Lyapunov,
    measures: dict[str, float],
) -> Verdict:
    """Chaos must be more deterministic than noise of the same spectrum and distribution."""
    size = min(standard.size, 4096)
    own = lyapunov_rosenstein(standard[-size:], lag=estimate.lag, references=1000).determinism
    noise = [
        lyapunov_rosenstein(surrogate, lag=estimate.lag, references=1000).determinism
        for surrogate in shuffle_phases(standard[-size:], _SURROGATES)
    ]
    p = (1 + sum(value >= own for value in noise)) / (1 + len(noise))
    measures["surrogate_p"] = p
    sentence = f"against {len(noise)} surrogates of the same spectrum p = {p:.2f}"
    if kind is Kind.STRANGE and p > 0.05:
        return Kind.UNKNOWN, (*evidence, sentence, "linear noise explains it as well")
    return kind, (*evidence, sentence)

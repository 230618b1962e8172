"""The rules by which the evidence on a recurring series becomes a class."""

from __future__ import annotations

from kernels.lyapunov import STRANGERS, Lyapunov
from kernels.periodicity import Periodicity
from kernels.report import Kind

FEWEST_RETURNS = 12
"""Fewer passes through the middle, and a smooth series may be anything."""

Verdict = tuple[Kind, tuple[str, ...]]


def classify(cycle: Periodicity, estimate: Lyapunov, returns: int) -> Verdict:
    """The class of a series that comes back `returns` times, and the sentences that decided."""
    parting = _parts(estimate) and not (cycle.far >= 0.97 and estimate.rise < 0.7)
    regular = _regular(cycle, parting=parting)
    if regular:
        return regular
    repeats = _repeats(cycle)
    parts = (
        f"neighbours part exponentially: {estimate.rise:.1f} nats, R^2 {estimate.r_squared:.3f}",
        f"determinism {estimate.determinism:.2f}",
    )
    if parting:
        return Kind.STRANGE, parts
    if cycle.far >= 0.5 and cycle.near - cycle.far < 0.05 and estimate.determinism < 0.3:
        return Kind.LIMIT_CYCLE, (repeats, "the rest is noise")
    if returns < FEWEST_RETURNS:
        return Kind.UNKNOWN, (f"it returns only {returns} times; pass a longer series",)
    if estimate.determinism >= 0.5 and cycle.far < 0.5 and estimate.problem != STRANGERS:
        return Kind.STRANGE, (
            f"close states stay close ({parts[1]}), yet nothing repeats",
            f"the exponent is not certain: {estimate.problem or 'its interval is wide'}",
        )
    if estimate.determinism < 0.35 and cycle.far < 0.5 and estimate.rise < 0.9:
        return Kind.STOCHASTIC, (
            f"the future does not depend on the state ({parts[1]})",
            estimate.problem or "neighbours do not part exponentially",
        )
    return Kind.UNKNOWN, ("the evidence points in no single direction", repeats, *parts)


def _regular(cycle: Periodicity, *, parting: bool) -> Verdict | None:
    """A torus if several tones hold the power and share no fundamental; a cycle if it repeats.

    Exponential growth stands against either unless the regularity is nearly perfect: slow drift
    between almost equal cycles also looks exponential for a while.
    """
    repeats = _repeats(cycle)
    several = cycle.lines >= 2 and not cycle.commensurate and cycle.line_power >= 0.97
    if several and (cycle.line_power >= 0.995 or not parting):
        tones = f"{cycle.lines} tones hold {cycle.line_power:.1%} of the power"
        return Kind.QUASI_PERIODIC, (tones, "they are not harmonics of one", repeats)
    lasting = cycle.far - 0.05 <= cycle.near
    if lasting and (cycle.far >= 0.999 or (cycle.far >= 0.97 and not parting)):
        return Kind.LIMIT_CYCLE, (repeats,)
    return None


def _repeats(cycle: Periodicity) -> str:
    return f"one period explains {cycle.near:.1%} at once and {cycle.far:.1%} far later"


def _parts(estimate: Lyapunov) -> bool:
    """Whether the growth is surely positive, and long and straight enough to be exponential.

    A short rise is believed only if close states stay close; a longer, straighter one also in
    a noisy series, where the noise hides the memory of small distances.
    """
    if estimate.exponent is None or estimate.low is None or estimate.low <= 0:
        return False
    remembered = estimate.determinism >= 0.5 and estimate.rise >= 0.5 and estimate.r_squared >= 0.98
    return remembered or (estimate.rise >= 0.7 and estimate.r_squared >= 0.99)

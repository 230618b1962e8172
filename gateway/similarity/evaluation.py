"""Judging the comparison: hits at a fixed rate of wrong answers.

A hit rate alone says nothing: a cache that answers everything from memory hits always. So the
threshold is set where wrong hits are a stated share of the pairs that must not hit, and the hit
rate is read there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]

_RESAMPLES = 1_000


@dataclass(frozen=True, slots=True)
class HitRate:
    """Share of the pairs that should hit, at a rate of wrong hits; 95 % bootstrap interval."""

    value: float
    low: float
    high: float
    threshold: float


def hit_rate(scores: Scores, should_hit: NDArray[np.bool_], wrong: float, seed: int = 1) -> HitRate:
    """Hits ÷ pairs that should hit, where wrong hits are at most `wrong` of those that must not.

    Raises ValueError without pairs of both kinds.
    """
    if should_hit.all() or not should_hit.any():
        raise ValueError("pairs of both kinds are needed: same_answer true and false")
    generator = np.random.default_rng(seed)
    resampled = []
    for _ in range(_RESAMPLES):
        chosen = np.concatenate(
            [
                generator.choice(np.flatnonzero(kind), kind.sum())
                for kind in (should_hit, ~should_hit)
            ]
        )
        resampled.append(_hits(scores[chosen], should_hit[chosen], wrong)[0])
    value, threshold = _hits(scores, should_hit, wrong)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return HitRate(value, float(low), float(high), threshold)


def _hits(scores: Scores, should_hit: NDArray[np.bool_], wrong: float) -> tuple[float, float]:
    traps = np.sort(scores[~should_hit])[::-1]
    allowed = int(wrong * len(traps))
    threshold = float(traps[allowed]) if allowed < len(traps) else float("-inf")
    return float(np.mean(scores[should_hit] > threshold)), threshold

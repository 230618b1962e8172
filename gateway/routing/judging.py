"""What a ranking of prompts is worth: the quality that strong calls buy, over their share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Truths = NDArray[np.bool_]
_TIES = 20


@dataclass(frozen=True, slots=True)
class Curve:
    """Share of the gap between weak and strong recovered, after 0, 1, 2 … strong calls."""

    recovered: Numbers
    weak: float
    """Share of right answers of the weak model alone."""
    strong: float

    @property
    def apgr(self) -> float:
        """Average performance gap recovered: the mean over all shares of strong calls.

        0.5 for a ranking by chance.
        """
        return float(self.recovered.mean())

    def calls_for(self, recovered: float) -> float:
        """Least share of strong calls that recovers so much of the gap (CPT)."""
        reached = np.flatnonzero(self.recovered >= recovered)
        return float(reached[0] / (len(self.recovered) - 1)) if len(reached) else 1.0


def curve(difficulty: Numbers, weak: Truths, strong: Truths, seed: int = 1) -> Curve:
    """The curve when the most difficult prompts go to the strong model first.

    Equal ones are in random order, averaged over several. Raises ValueError without a gap.
    """
    gain = strong.astype(float) - weak.astype(float)
    if gain.sum() <= 0:
        raise ValueError("the strong model is not better than the weak one on these prompts")
    generator = np.random.default_rng(seed)
    total = np.zeros(len(gain) + 1)
    for _ in range(_TIES):
        order = np.lexsort((generator.random(len(gain)), -difficulty))
        total[1:] += np.cumsum(gain[order])
    return Curve(total / _TIES / gain.sum(), float(weak.mean()), float(strong.mean()))


def calibration_error(cheap_suffices: Numbers, sufficed: Truths, groups: int = 10) -> float:
    """Mean distance of probability and outcome over groups of equal size (ECE)."""
    order = np.argsort(cheap_suffices, kind="stable")
    parts = np.array_split(order, groups)
    distances = [
        abs(cheap_suffices[part].mean() - sufficed[part].mean()) * len(part)
        for part in parts
        if len(part)
    ]
    return float(sum(distances) / len(order))

"""Judging the comparison: hits at a fixed rate of wrong answers, and a replay of a stream.

A hit rate alone says nothing: a cache that answers everything from memory hits always. So the
threshold is set where wrong hits are a stated share of the pairs that must not hit, and the hit
rate is read there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.similarity.evidence import compare_words
from gateway.similarity.score import MODEL, Model
from gateway.similarity.words import Word

Scores = NDArray[np.float64]

CANDIDATES = 5
"""Nearest entries that are compared in full."""

FEWEST_COSINE = 0.5
"""Entries below this similarity are not looked at."""

_RESAMPLES = 1_000


@dataclass(frozen=True, slots=True)
class HitRate:
    """Share of the pairs that should hit, at a rate of wrong hits; 95 % bootstrap interval."""

    value: float
    low: float
    high: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Replay:
    """What a cache that stores every answer would have done with a stream of prompts."""

    requests: int
    hits: int
    wrong: int


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


def replay(
    texts: Sequence[tuple[Word, ...]],
    vectors: NDArray[np.float32],
    groups: Sequence[str],
    threshold: float,
    model: Model = MODEL,
) -> Replay:
    """Ask `texts` in order of a cache that keeps them all; a hit on another group is wrong.

    `vectors` has shape (texts, dimension) and rows of length 1.
    """
    hits = wrong = 0
    for asked in range(1, len(texts)):
        cosines = vectors[:asked] @ vectors[asked]
        nearest = np.argsort(-cosines)[:CANDIDATES]
        best, score = -1, threshold
        for entry in nearest[cosines[nearest] >= FEWEST_COSINE]:
            compared = compare_words(texts[asked], texts[entry], float(cosines[entry]))
            probability = model.probability(compared)
            if probability >= score:
                best, score = int(entry), probability
        if best >= 0:
            hits += 1
            wrong += groups[best] != groups[asked]
    return Replay(len(texts), hits, wrong)

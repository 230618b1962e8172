"""Which window is like no other: robust scores of distances. Numbers in, numbers and words out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.demo.windows import apart

LIMIT = 3.5
"""Modified z-score from which a window is discordant (Iglewicz and Hoaglin 1993)."""
_UNDECIDED = "UNKNOWN"  # says nothing about a window, nor against it
_MAD_TO_DEVIATION = 1.4826
_MEAN_TO_DEVIATION = 1.2533  # where more than half of the values are equal and the MAD is 0


def centre_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """The median, and a deviation that outliers cannot move; 0 if all values are equal."""
    array = np.asarray(values, dtype=np.float64)
    middle = float(np.median(array))
    gaps = np.abs(array - middle)
    spread = _MAD_TO_DEVIATION * float(np.median(gaps))
    return middle, spread or _MEAN_TO_DEVIATION * float(np.mean(gaps))


def score(value: float, middle: float, spread: float) -> float:
    """How many robust deviations above the middle; 0 where nothing varies."""
    return (value - middle) / spread if spread > 0 else 0.0


def feature_distances(
    vectors: Sequence[Sequence[float]], starts: Sequence[int], length: int
) -> list[float]:
    """Each window's distance to the nearest feature vector of a window apart from it.

    The features have different units, so each is standardised over the windows first.
    """
    matrix = np.asarray(vectors, dtype=np.float64)
    deviation = matrix.std(axis=0)
    varied: NDArray[np.float64] = matrix[:, deviation > 0] / deviation[deviation > 0]
    return [
        float(np.min(np.linalg.norm(varied[apart(starts, length, index)] - varied[index], axis=1)))
        for index in range(len(starts))
    ]


def compare(
    distances: Sequence[float],
    vectors: Sequence[Sequence[float]],
    kinds: Sequence[str],
    starts: Sequence[int],
    length: int,
) -> dict[str, Any]:
    """What is usual among the windows of a series."""
    features = feature_distances(vectors, starts, length)
    return {
        "distance": centre_and_spread(distances),
        "feature": centre_and_spread(features),
        "features": features,
        "kind": Counter(kinds).most_common(1)[0][0],
        "kinds": dict(Counter(kinds)),
    }


def judge(index: int, distance: float, kind: str, usual: dict[str, Any]) -> dict[str, Any]:
    """One window against what is usual: its scores, and in words why it is discordant."""
    feature = usual["features"][index]
    scores = {
        "distance_score": score(distance, *usual["distance"]),
        "feature_score": score(feature, *usual["feature"]),
    }
    return {
        "index": index,
        "distance": distance,
        "distance_ratio": _ratio(distance, usual["distance"][0]),
        "feature_ratio": _ratio(feature, usual["feature"][0]),
        "kind": kind,
        "usual_kind": usual["kind"],
        "discordant": scores["distance_score"] >= LIMIT,
        **scores,
    }


def reasons(verdict: dict[str, Any]) -> list[str]:
    """Why a window is discordant, and what else speaks for it; empty if it is not."""
    if not verdict["discordant"]:
        return []
    told = [
        (
            f"even the nearest other window is {verdict['distance_ratio']:.1f} times as far away "
            f"as is usual (modified z-score {verdict['distance_score']:.1f})"
        )
    ]
    if verdict["feature_score"] >= LIMIT:
        told.append(f"its features say so too ({verdict['feature_score']:.1f})")
    kinds = {verdict["kind"], verdict["usual_kind"]}
    if len(kinds) > 1 and _UNDECIDED not in kinds:
        told.append(f"its motion is {verdict['kind']}, most windows are {verdict['usual_kind']}")
    return told


def _ratio(value: float, middle: float) -> float:
    return value / middle if middle > 0 else 1.0

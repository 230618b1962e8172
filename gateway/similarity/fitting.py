"""Fitting the model of :mod:`gateway.similarity.score`, and judging it on pairs it has not seen.

Labelled pairs alone teach the wrong lesson: traps are near-identical sentences, so a model of
traps alone holds likeness against a pair. What a cache really offers is the nearest of many
entries; hence nearest neighbours with another answer, mined from the same pairs and from a
stream of questions with known groups, are negatives too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from gateway.similarity.evidence import Comparison, compare_questions, read
from gateway.similarity.score import Model

_REGULARISATION = 0.3
FOLDS = 5

MINED_WEIGHT = 1.0
"""Weight of all neighbours mined from the pairs, as a multiple of the pairs' own."""

STREAM_WEIGHT = 3.0
"""The same for those mined from a stream."""

_NEIGHBOURS = 6


@dataclass(frozen=True, slots=True)
class Sample:
    """One comparison with its answer; `group` keeps what shares a question in one fold."""

    comparison: Comparison
    same_answer: bool
    group: str
    weight: float = 1.0


def mine(
    texts: Sequence[str], vectors: NDArray[np.float32], groups: Sequence[str]
) -> list[Comparison]:
    """Comparisons of each text with its nearest neighbours of other groups."""
    questions = [read(text) for text in texts]
    labels = np.asarray(groups)
    found = []
    for number in range(len(texts)):
        cosines = vectors @ vectors[number]
        found += [
            compare_questions(questions[number], questions[other], float(cosines[other]))
            for other in np.argsort(-cosines)[:_NEIGHBOURS]
            if labels[other] != labels[number]
        ]
    return found


def fit(
    samples: Sequence[Sample], negatives: Mapping[float, Sequence[Comparison]], version: str
) -> Model:
    """A logistic regression (L2) on standardised figures, written back to raw ones.

    `negatives` maps a weight, as a multiple of that of all samples, to mined comparisons. Vetoed
    negatives teach nothing: no coefficient decides about them.
    """
    figures, labels, weights = _rows(samples)
    for weight, comparisons in negatives.items():
        open_ones = [comparison for comparison in comparisons if not comparison.vetoes]
        if open_ones:
            each = weight * len(samples) / len(open_ones)
            figures += [comparison.evidence.values() for comparison in open_ones]
            labels += [False] * len(open_ones)
            weights += [each] * len(open_ones)
    table = np.array(figures)
    scaler = StandardScaler().fit(table)
    regression = LogisticRegression(C=_REGULARISATION)
    regression.fit(scaler.transform(table), labels, sample_weight=weights)
    coefficients = regression.coef_[0] / scaler.scale_
    intercept = float(regression.intercept_[0] - coefficients @ scaler.mean_)
    return Model(version, intercept, tuple(float(value) for value in coefficients))


def cross_validate(
    samples: Sequence[Sample], negatives: Mapping[float, Sequence[Comparison]]
) -> NDArray[np.float64]:
    """Each sample's probability by a model that saw no sample of its group."""
    folds = np.array([_fold(sample.group) for sample in samples])
    scores = np.zeros(len(samples))
    for number in range(FOLDS):
        seen = [sample for sample, fold in zip(samples, folds, strict=True) if fold != number]
        model = fit(seen, negatives, "fold")
        for position in np.flatnonzero(folds == number):
            scores[position] = model.probability(samples[int(position)].comparison)
    return scores


def groups_of(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """By text, one text that stands for all that are connected through pairs."""
    parent: dict[str, str] = {}

    def root(text: str) -> str:
        while parent.setdefault(text, text) != text:
            text = parent[text]
        return text

    for a, b in pairs:
        parent[root(a)] = root(b)
    return {text: root(text) for text in parent}


def _rows(samples: Sequence[Sample]) -> tuple[list[tuple[float, ...]], list[bool], list[float]]:
    return (
        [sample.comparison.evidence.values() for sample in samples],
        [sample.same_answer for sample in samples],
        [sample.weight for sample in samples],
    )


def _fold(group: str) -> int:
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:4], "big") % FOLDS

"""Labelled pairs of questions, compared: what the cache's score is fitted to and judged by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.cache.replaying import same_words
from gateway.samples import LabelledPair
from gateway.similarity import fitting
from gateway.similarity.evidence import Comparison, compare_questions, read
from gateway.similarity.fitting import MINED_WEIGHT, Sample
from gateway.similarity.score import MODEL


@dataclass(frozen=True, slots=True)
class Labelled:
    """Pairs, in their order, with what the score knows of them."""

    samples: list[Sample]
    cosines: NDArray[np.float64]
    mined: list[Comparison]
    """Comparisons of neighbours that belong to different pairs."""
    same_words: NDArray[np.bool_]
    """Pairs that are served without a comparison."""

    @property
    def labels(self) -> NDArray[np.bool_]:
        """Whether one answer serves both."""
        return np.array([sample.same_answer for sample in self.samples])

    def scores(self) -> NDArray[np.float64]:
        """The probability of each pair, by the model that is shipped."""
        return self._served([MODEL.probability(sample.comparison) for sample in self.samples])

    def cross_validated(self) -> NDArray[np.float64]:
        """The probability of each pair, by a model that was fitted without it."""
        return self._served(fitting.cross_validate(self.samples, {MINED_WEIGHT: self.mined}))

    def _served(self, probabilities: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
        scores = np.array(probabilities)
        scores[self.same_words] = 1.0
        return scores


def compared(
    pairs: Sequence[LabelledPair], embed: Callable[[list[str]], NDArray[np.float32]]
) -> Labelled:
    """The pairs compared; `embed` makes unit vectors of texts, each of which it is given once."""
    groups = fitting.groups_of((pair.a, pair.b) for pair in pairs)
    texts = sorted(groups)
    vectors = embed(texts)
    row = {text: number for number, text in enumerate(texts)}
    cosines = [float(vectors[row[pair.a]] @ vectors[row[pair.b]]) for pair in pairs]
    samples = [
        Sample(
            compare_questions(read(pair.a), read(pair.b), cosine), pair.same_answer, groups[pair.a]
        )
        for pair, cosine in zip(pairs, cosines, strict=True)
    ]
    mined = fitting.mine(texts, vectors, [groups[text] for text in texts])
    same = np.array([same_words(pair.a, pair.b) for pair in pairs])
    return Labelled(samples, np.array(cosines), mined, same)

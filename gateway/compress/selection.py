"""Leaving out what matters least to a question, and nothing that is protected.

Only a sentence whose protected spans all stand elsewhere may go: the order of going is that of
relevance to the query (BM25 over the sentences), the least relevant and oldest first.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from gateway.compress.sentences import Sentence

K1 = 1.2
B = 0.75
"""The usual constants of BM25 (Robertson and Zaragoza 2009)."""

_WORD = re.compile(r"\w+")
_COMMON = 3
"""Letters: shorter words ("the", "is") tell nothing about relevance."""


def choose_droppable(
    sentences: Sequence[Sentence], query: str, excess: int, weights: Sequence[int]
) -> frozenset[int]:
    """Positions to leave out until `excess` characters are saved, or all that may go have gone.

    `weights` are the characters of each sentence; 0 marks one that must stay.
    """
    held = Counter(span for sentence in sentences for span in sentence.spans)
    relevance = _relevance(sentences, query)
    dropped = set()
    for position in sorted(range(len(sentences)), key=lambda number: (relevance[number], number)):
        if excess <= 0:
            break
        spans = sentences[position].spans
        if weights[position] and all(held[span] > 1 for span in spans):
            dropped.add(position)
            held.subtract(spans)
            excess -= weights[position]
    return frozenset(dropped)


def _relevance(sentences: Sequence[Sentence], query: str) -> list[float]:
    """BM25 of each sentence for the query's words."""
    asked = {word for word in _WORD.findall(query.casefold()) if len(word) > _COMMON}
    documents = [sentence.words for sentence in sentences]
    mean = max(1.0, sum(map(len, documents)) / max(1, len(documents)))
    containing = Counter(word for words in documents for word in asked.intersection(words))
    rarity = {
        word: math.log(1 + (len(documents) - number + 0.5) / (number + 0.5))
        for word, number in containing.items()
    }
    scores = []
    for words in documents:
        counts = Counter(word for word in words if word in rarity)
        length = 1 - B + B * len(words) / mean
        scores.append(
            sum(
                rarity[word] * number * (K1 + 1) / (number + K1 * length)
                for word, number in counts.items()
            )
        )
    return scores

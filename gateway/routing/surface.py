"""What the surface of a prompt tells of its difficulty: logarithms of counts."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

LONGEST = 16_000
"""Characters that are looked at: a decision stays below a millisecond."""

_SENTENCE_END = re.compile(r"[.!?\n]+")
_NEGATION = re.compile(r"\b(?:not|except)\b|n't\b", re.IGNORECASE)
_PERSON = re.compile(
    r"\b(?:he|she|his|her|hers|they|them|their|him|it|its|who|whose|whom)\b", re.IGNORECASE
)


def _longest_line(text: str) -> int:
    return max(map(len, text.split("\n")))


def _longest_sentence(text: str) -> int:
    return max(map(len, _SENTENCE_END.split(text)))


COUNTS: dict[str, Callable[[str], int]] = {
    "longest_line": _longest_line,
    "longest_sentence": _longest_sentence,
    "words": lambda text: len(text.split()),
    "negations": lambda text: len(_NEGATION.findall(text)),
    "clauses": lambda text: text.count(","),
    "persons": lambda text: len(_PERSON.findall(text)),
}
"""What is counted, by name."""


def surface(text: str) -> tuple[float, ...]:
    """log(1 + count) of each of :data:`COUNTS`, in their order."""
    looked_at = text[:LONGEST]
    return tuple(math.log1p(count(looked_at)) for count in COUNTS.values())

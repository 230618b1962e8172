"""Reasons why a similar question must not get the stored answer, whatever its score.

Embeddings put "turn it on" beside "turn it off" and Leeds beside Oxford. Each veto names one way
in which two questions that look alike have different answers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from gateway.similarity.alignment import Alignment, opposite
from gateway.similarity.words import Kind, Word


class Veto(StrEnum):
    """Why not."""

    NUMBER = "number"
    """Numbers, dates, times or units on both sides that the other side does not have."""
    NEGATION = "negation"
    """One is denied and the other is not."""
    ANTONYM = "antonym"
    NAME = "name"
    """Another person, place, product or organisation."""
    DIRECTION = "direction"
    """From here to there against from there to here."""
    CODE = "code"
    """Another identifier, file, option or address."""
    OPERATOR = "operator"
    """Other arithmetic or code (:mod:`gateway.similarity.formal`); not found among words."""


_NEGATIONS = re.compile(
    r"not|no|never|without|non|none|nothing|nobody|neither|nor|exclud\w*|except|prohibit\w*"
    r"|ban|bann\w*|forbid\w*|illegal|impossible|refus\w*|deny|denied|decline[ds]?"
)
_TARGETS = frozenset({"to", "into", "onto", "over"})
_SOURCES = frozenset({"from"})
_COMPARED = frozenset({"than"})
_UNSIGNED = re.compile(r"[^\d.:]")


def find_vetoes(a: Sequence[Word], b: Sequence[Word], aligned: Alignment) -> tuple[Veto, ...]:
    """The vetoes on the words of two texts, in the order of :class:`Veto`."""
    left_a = [a[i] for i in aligned.only_a]
    left_b = [b[j] for j in aligned.only_b]
    found = {
        Veto.NUMBER: _numbers_differ(a, b),
        Veto.NEGATION: _negations(a) % 2 != _negations(b) % 2,
        Veto.ANTONYM: any(opposite(x, y) for x in left_a for y in left_b),
        Veto.NAME: _both_have(left_a, left_b, Kind.NAME),
        Veto.DIRECTION: any(
            _swapped(a, b, aligned, heads) for heads in (_TARGETS, _SOURCES, _COMPARED)
        ),
        Veto.CODE: any(word.kind is Kind.CODE for word in (*left_a, *left_b)),
    }
    return tuple(veto for veto, holds in found.items() if holds)


def _numbers_differ(a: Sequence[Word], b: Sequence[Word]) -> bool:
    """Whether each side has a number that the other lacks; a unit said otherwise is no number."""
    one, other = (
        {_UNSIGNED.sub("", word.stem) or word.stem for word in text if word.kind is Kind.NUMBER}
        for text in (a, b)
    )
    return bool(one - other) and bool(other - one)


def _negations(text: Sequence[Word]) -> int:
    return sum(1 for word in text if _NEGATIONS.fullmatch(word.text))


def _both_have(one: Sequence[Word], other: Sequence[Word], kind: Kind) -> bool:
    return any(word.kind is kind for word in one) and any(word.kind is kind for word in other)


def _swapped(
    a: Sequence[Word], b: Sequence[Word], aligned: Alignment, heads: frozenset[str]
) -> bool:
    """Whether what follows a preposition in one text is in another role in the other."""
    in_a = _governed(a, heads)
    in_b = _governed(b, heads) if in_a else in_a
    if not in_b:
        return False
    roles_a = {pair.a for pair in aligned.pairs if pair.a in in_a}
    roles_b = {pair.a for pair in aligned.pairs if pair.b in in_b}
    return bool(roles_a) and bool(roles_b) and not roles_a & roles_b


def _governed(text: Sequence[Word], heads: frozenset[str]) -> set[int]:
    """Positions of the words in the phrases that one of these prepositions opens."""
    found: set[int] = set()
    inside = begun = False
    for position, word in enumerate(text):
        if word.text in heads:
            inside, begun = True, False
        elif inside and word.kind > Kind.FUNCTION:
            found.add(position)
            begun = True
        elif begun:
            inside = False
    return found

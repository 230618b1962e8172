"""What speaks for and against two questions having one answer, as plain figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

from gateway.similarity.alignment import Alignment, align
from gateway.similarity.formal import Formal, differ, formal
from gateway.similarity.vetoes import Veto, find_vetoes
from gateway.similarity.words import Kind, Word, words

_WEIGHTS = {
    Kind.FUNCTION: 0.0,
    Kind.WEAK: 0.3,
    Kind.CONTENT: 1.0,
    Kind.NAME: 1.5,
    Kind.NUMBER: 2.0,
    Kind.CODE: 2.0,
}
"""How much of a question is lost with a word of that kind."""

_QUESTIONS = frozenset(
    ("howto", "cost", "when", "where", "why", "who", "duration", "which", "can", "have", "many")
)
_SURE = 0.6
"""Pairs below this strength are synonyms."""

_MOST_REWORDED = 3


@dataclass(frozen=True, slots=True)
class Evidence:
    """Figures about a pair; `weights.json` has one coefficient for each, by its name."""

    cosine: float
    same: float
    """1 if both have the same words, misspelt or not, whatever their order."""
    clean: float
    """1 if no content word is left over on either side."""
    fewest_left: float
    """Weight of the words without partner, on the side that has fewer."""
    most_left: float
    overlap: float
    """Share of the weight that has a partner (Dice)."""
    swap: float
    """1 if exactly one content word is left on each side: one was put in the other's place."""
    one_sided: float
    """1 if only one side has content words left: a condition came or went."""
    name_left: float
    """1 if only one side has a name left."""
    other_question: float
    """1 if one asks when and the other where."""
    reworded: float
    """Words matched only as synonyms, at most 3: traps keep the words, paraphrases do not."""

    def values(self) -> tuple[float, ...]:
        """The figures in the order of the fields."""
        found: tuple[float, ...] = _values(self)
        return found


_values = attrgetter(*(field.name for field in fields(Evidence)))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two questions compared: the figures, and what forbids one answer for both."""

    evidence: Evidence
    vetoes: tuple[Veto, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A text as it is compared; an entry of the cache is read once."""

    words: tuple[Word, ...]
    formal: Formal


def read(text: str) -> Question:
    """What is compared of a text."""
    return Question(words(text), formal(text))


def compare(a: str, b: str, cosine: float) -> Comparison:
    """Compare two questions whose embeddings have this `cosine` similarity."""
    return compare_questions(read(a), read(b), cosine)


def compare_questions(a: Question, b: Question, cosine: float) -> Comparison:
    """The same for questions that were read before."""
    aligned = align(a.words, b.words)
    vetoes = find_vetoes(a.words, b.words, aligned)
    if differ(a.formal, b.formal):
        vetoes += (Veto.OPERATOR,)
    return Comparison(_weigh(a.words, b.words, aligned, cosine), vetoes)


def _weigh(a: Sequence[Word], b: Sequence[Word], aligned: Alignment, cosine: float) -> Evidence:
    left_a = [a[i] for i in aligned.only_a]
    left_b = [b[j] for j in aligned.only_b]
    content_a, content_b = _content(left_a), _content(left_b)
    lost_a, lost_b = _weight(left_a), _weight(left_b)
    matched = sum(
        pair.strength * max(_WEIGHTS[a[pair.a].kind], _WEIGHTS[b[pair.b].kind])
        for pair in aligned.pairs
    )
    named_a = any(word.kind is Kind.NAME for word in left_a)
    named_b = any(word.kind is Kind.NAME for word in left_b)
    return Evidence(
        cosine=cosine,
        same=float(
            all(word.kind is Kind.FUNCTION for word in (*left_a, *left_b))
            and all(pair.strength > _SURE for pair in aligned.pairs)
        ),
        clean=float(not content_a and not content_b),
        fewest_left=min(lost_a, lost_b),
        most_left=max(lost_a, lost_b),
        overlap=2 * matched / max(1e-9, 2 * matched + lost_a + lost_b),
        swap=float(len(content_a) == len(content_b) == 1),
        one_sided=float(bool(content_a) != bool(content_b)),
        name_left=float(named_a != named_b),
        other_question=float(_asks_otherwise(a, b)),
        reworded=float(min(_MOST_REWORDED, sum(pair.strength < _SURE for pair in aligned.pairs))),
    )


def _weight(left: Iterable[Word]) -> float:
    return sum(_WEIGHTS[word.kind] for word in left)


def _content(left: Iterable[Word]) -> list[Word]:
    return [word for word in left if word.kind >= Kind.CONTENT]


def _asks_otherwise(a: Iterable[Word], b: Iterable[Word]) -> bool:
    asked_a = _QUESTIONS.intersection(word.text for word in a)
    asked_b = _QUESTIONS.intersection(word.text for word in b)
    return bool(asked_a) and bool(asked_b) and not asked_a & asked_b

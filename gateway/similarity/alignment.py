"""Which words of two questions stand for one another, and which are left over on either side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.similarity.lexicon import ANTONYMS, SYNONYMS
from gateway.similarity.words import Kind, Word, stem

_SHORTEST_TYPO = 4
"""Letters: of shorter words one changed letter makes another word."""

_TWO_TYPOS = 7
"""Letters from which two edits still leave the word recognisable."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two words that were taken for the same, and how sure that is (1 equal, 0.5 a synonym)."""

    a: int
    b: int
    strength: float


@dataclass(frozen=True, slots=True)
class Alignment:
    """Pairs in the order of the first text, and what has no partner."""

    pairs: tuple[Pair, ...]
    only_a: tuple[int, ...]
    only_b: tuple[int, ...]


def _groups() -> dict[str, frozenset[int]]:
    found: dict[str, set[int]] = {}
    for number, group in enumerate(SYNONYMS):
        for word in group:
            found.setdefault(stem(word), set()).add(number)
    return {word: frozenset(numbers) for word, numbers in found.items()}


_DENYING = frozenset(("un", "in", "im", "ir", "dis", "non", "de", "mis"))
_GROUPS = _groups()
_NONE: frozenset[int] = frozenset()


def _opposites() -> frozenset[frozenset[str]]:
    """The listed pairs, and each word of the one side's synonyms with each of the other's."""
    found = set()
    for pair in ANTONYMS:
        one, other = (_alike(stem(word)) for word in pair)
        found |= {frozenset((x, y)) for x in one for y in other if x not in other and y not in one}
    return frozenset(found)


def _alike(word: str) -> set[str]:
    return {word}.union(*(map(stem, SYNONYMS[number]) for number in _GROUPS.get(word, ())))


_OPPOSITES = _opposites()


def align(a: Sequence[Word], b: Sequence[Word]) -> Alignment:
    """Match equal stems first, then misspellings, then synonyms; greedy, in order."""
    free = set(range(len(b)))
    partner: dict[int, Pair] = {}
    for strength, same in ((1.0, _equal), (0.9, _misspelt), (0.5, _synonyms)):
        for i, word in enumerate(a):
            if i in partner:
                continue
            match = min(
                (j for j in free if same(word, b[j])), key=lambda j: abs(i - j), default=None
            )
            if match is not None:
                partner[i] = Pair(i, match, strength)
                free.discard(match)
    return Alignment(
        tuple(partner[i] for i in sorted(partner)),
        tuple(i for i in range(len(a)) if i not in partner),
        tuple(sorted(free)),
    )


def opposite(a: Word, b: Word) -> bool:
    """Whether one is the other's antonym, from the list or by a negating prefix."""
    longer, shorter = (a.text, b.text) if len(a.text) >= len(b.text) else (b.text, a.text)
    if longer.endswith(shorter) and longer.removesuffix(shorter) in _DENYING:
        return True
    return frozenset((a.stem, b.stem)) in _OPPOSITES


def _equal(a: Word, b: Word) -> bool:
    return a.stem == b.stem


def _misspelt(a: Word, b: Word) -> bool:
    if a.kind is not Kind.CONTENT or b.kind is not Kind.CONTENT or opposite(a, b):
        return False
    if min(len(a.text), len(b.text)) < _SHORTEST_TYPO or a.text[0] != b.text[0]:
        return False
    allowed = 1 if max(len(a.text), len(b.text)) < _TWO_TYPOS else 2
    return _edits(a.text, b.text, allowed) <= allowed


def _synonyms(a: Word, b: Word) -> bool:
    return bool(_GROUPS.get(a.stem, _NONE) & _GROUPS.get(b.stem, _NONE)) and not opposite(a, b)


def _edits(a: str, b: str, most: int) -> int:
    """Damerau-Levenshtein distance (adjacent transpositions count one), `most` + 1 if larger."""
    if abs(len(a) - len(b)) > most:
        return most + 1
    before: list[int] = []
    previous = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        current = [i]
        for j, y in enumerate(b, start=1):
            cost = min(previous[j] + 1, current[-1] + 1, previous[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and y == a[i - 2]:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        if min(current) > most:
            return most + 1
        before, previous = previous, current
    return previous[-1]

"""Phrases that say nothing or say it at length, from ``phrases.yaml``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from gateway.compress.sentences import Sentence

_PHRASES: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parent / "phrases.yaml").read_text(encoding="utf-8")
)
_SHORTER: dict[str, str] = _PHRASES["shorter"]


_LONGEST_COURTESY = 160
"""Characters."""


def _alternatives(phrases: Iterable[str]) -> str:
    ordered = sorted(phrases, key=len, reverse=True)
    return "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in ordered)


_OPENING = re.compile(rf"(?:(?:{_alternatives(_PHRASES['openings'])})\b,?\s+)+", re.IGNORECASE)
_EMPTY = re.compile(rf"(?:(?:{_alternatives(_PHRASES['sentences'])})\b[\s,.!?]*)+", re.IGNORECASE)
_LONG = re.compile(rf"\b(?:{_alternatives(_SHORTER)})\b", re.IGNORECASE)


def _beginnings(phrases: Iterable[str]) -> frozenset[tuple[str, ...]]:
    """The first two words of each: without them a pattern finds nothing, and most sentences
    have none. A phrase of one word begins with any word after it.
    """
    return frozenset(tuple(_WORD.findall(phrase.casefold())[:2]) for phrase in phrases)


_WORD = re.compile(r"\w+")
_QUOTE = re.compile('["“«`]')
_OPENING_FIRST = _beginnings(_PHRASES["openings"])
_EMPTY_FIRST = _beginnings(_PHRASES["sentences"])
_LONG_PAIRS = frozenset(pair for pair in _beginnings(_SHORTER) if len(pair) > 1)
_LONG_ALONE = frozenset(word for word, *more in _beginnings(_SHORTER) if not more)


def says_nothing(sentence: Sentence) -> bool:
    """Whether the whole sentence is courtesy."""
    return (
        len(sentence.text) <= _LONGEST_COURTESY
        and _begins(sentence.words, _EMPTY_FIRST)
        and _EMPTY.fullmatch(sentence.text.strip()) is not None
    )


def tighten(sentence: Sentence) -> Sentence:
    """The sentence without its opening phrase, long phrases said short; quotes stay as they are."""
    words = sentence.words
    long = not (_LONG_PAIRS.isdisjoint(pairwise(words)) and _LONG_ALONE.isdisjoint(words))
    if not (long or _begins(words, _OPENING_FIRST)) or _QUOTE.search(sentence.text):
        return sentence
    text = _LONG.sub(_short, sentence.text)
    opening = _OPENING.match(text)
    if opening and opening.end() < len(text):
        rest = text[opening.end() :]
        text = rest[0].upper() + rest[1:] if text[0].isupper() else rest
    return Sentence(text, sentence.tail) if text != sentence.text else sentence


def _begins(words: tuple[str, ...], beginnings: frozenset[tuple[str, ...]]) -> bool:
    return words[:2] in beginnings or words[:1] in beginnings


def _short(match: re.Match[str]) -> str:
    short = _SHORTER[" ".join(match.group().casefold().split())]
    return short.capitalize() if match.group()[0].isupper() else short

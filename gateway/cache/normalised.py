"""L2: the same words, apart from case, punctuation, contractions and courtesies at the edges.

Stricter than :func:`gateway.similarity.words.plain`, because nothing weighs this hit afterwards:

* Courtesies inside a question stay: "how do you say hello" does not ask for "thank you".
* Signs that mean something stay: C++, C#, -5, x < y, ½, 😀.
* Words keep their order, and a text is used whole or not at all.
"""

from __future__ import annotations

import re
import unicodedata

from gateway.cache.encoding import digest
from gateway.similarity.lexicon import FILLERS
from gateway.similarity.words import LONGEST, fold

_HARMLESS = frozenset(".,;:!?'\"()-‘’“”–—…`´¿¡ ")
_SIGNED = re.compile(r"(?:^|[\s(])(-)(?=\w)|(?<=[\d)])(!)(?!=)|(!=|--)")
"""Minus signs and options, factorials, inequality, decrements."""

_OPERATORS = frozenset("+<>=≤≥≠^*#±×÷")

_FEWEST_LEFT = 3
"""Words behind a courtesy at the beginning, without a comma: "hello in French" is a question."""

_COURTESY = "|".join(
    r"\s+".join(map(re.escape, phrase.split())) for phrase in sorted(FILLERS, key=len, reverse=True)
)
_BEFORE = re.compile(rf"^(?:(?:{_COURTESY})(?![\w'-])[\s,.!;:-]*)+")
_AFTER = re.compile(rf"(?<=[,.!?;])\s*(?:(?:{_COURTESY})(?![\w'-])[\s,.!?;-]*)+$")
_PLEASE = re.compile(r"\s(?:please|pls|plz)\W*$")
"""The only courtesy that may end a question without a comma: no other one can stand for it."""

_WORDS = re.compile(r"\w+(?:[.:,]\d+)*")


def normalised(question: str) -> str | None:
    """Equal for two questions only if one answer serves both; None: this has no such form."""
    if len(question) > LONGEST:
        return None
    text = _without_courtesies(fold(question.strip()))
    found = _WORDS.findall(text.replace("'", ""))
    if not found:
        return None
    return " ".join(found) + "\n" + _signs(question)


def normalised_key(scope_key: str, question: str) -> str | None:
    """SHA-256 of the normal form within a scope."""
    form = normalised(question)
    return None if form is None else digest((scope_key, "normalised", form))


def operators(text: str) -> tuple[str, ...]:
    """Signs of arithmetic and of code, in order: where they differ, so do the answers."""
    signed = ["".join(found) for found in _SIGNED.findall(text)]
    return (*signed, *(letter for letter in text if letter in _OPERATORS))


def _without_courtesies(text: str) -> str:
    behind = _BEFORE.sub("", text)
    if len(behind.split()) >= _FEWEST_LEFT:
        text = behind
    return _PLEASE.sub("", _AFTER.sub("", text))


def _signs(text: str) -> str:
    """Everything but letters, digits and harmless punctuation, in order, with its place."""
    signs = ["".join(found) for found in _SIGNED.findall(text)]
    symbols = [
        letter
        for letter in text
        if letter not in _HARMLESS and not letter.isspace() and not _is_word(letter)
    ]
    return " ".join((*signs, "|", *symbols))


def _is_word(letter: str) -> bool:
    return letter == "_" or unicodedata.category(letter)[0] in "LM" or letter.isdecimal()

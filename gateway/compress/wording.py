"""Phrases that say nothing or say it at length, from ``phrases.yaml``."""

from __future__ import annotations

import re
from collections.abc import Iterable
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


def says_nothing(sentence: Sentence) -> bool:
    """Whether the whole sentence is courtesy."""
    return (
        len(sentence.text) <= _LONGEST_COURTESY
        and _EMPTY.fullmatch(sentence.text.strip()) is not None
    )


def tighten(sentence: Sentence) -> Sentence:
    """The sentence without its opening phrase, long phrases said short; quotes stay as they are."""
    if any(mark in sentence.text for mark in '"“«`'):
        return sentence
    text = _LONG.sub(_short, sentence.text)
    opening = _OPENING.match(text)
    if opening and opening.end() < len(text):
        rest = text[opening.end() :]
        text = rest[0].upper() + rest[1:] if text[0].isupper() else rest
    return Sentence(text, sentence.tail)


def _short(match: re.Match[str]) -> str:
    short = _SHORTER[" ".join(match.group().casefold().split())]
    return short.capitalize() if match.group()[0].isupper() else short

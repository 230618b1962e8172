"""How many tokens a text has: exactly for OpenAI's vocabularies, by a calibrated rule otherwise.

The vocabularies come with the wheel `bpe-openai`; nothing is downloaded. The rule counts words,
digits and signs as byte-pair encoders split them; a provider's reported usage corrects it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

VOCABULARIES = (
    (
        "o200k_base",
        ("gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "chatgpt-", "o1", "o3", "o4", "gpt-oss"),
    ),
    ("cl100k_base", ("gpt-4", "gpt-3.5", "text-embedding-3", "text-embedding-ada")),
)
"""Encodings by the beginnings of model names, the first that fits."""

_PIECE = re.compile(r"[^\W\d_]+|\d+|\s+|[^\w\s]|_+")
_LETTERS_PER_TOKEN = 6
_LONGEST_ONE_TOKEN_WORD = 9
_DIGITS_PER_TOKEN = 3
_DENSE_FROM = "\u0370"
"""Scripts from here on (Greek, Cyrillic, Arabic, CJK) need about a token for two letters."""

MESSAGE_OVERHEAD = 4
"""Tokens that a chat message costs besides its text: role and separators."""
REPLY_OVERHEAD = 3
"""Tokens with which the answer is begun: they count as the prompt's."""
_AT_ONCE = 50_000
"""Characters that are counted at once: the encoders refuse many more, and in between other threads
have their turn. Parts end before a blank, where no vocabulary's piece goes on."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Ratio of reported to estimated tokens, a running mean; 1 without reports."""

    factor: float = 1.0
    reports: int = 0

    def learned(self, estimated: int, reported: int) -> Calibration:
        """With one more report; outliers (a provider that counts wrongly) weigh little."""
        if estimated <= 0 or reported <= 0:
            return self
        ratio = min(3.0, max(1 / 3, reported / estimated))
        weight = 1 / min(100, self.reports + 1)
        return Calibration(self.factor + weight * (ratio - self.factor), self.reports + 1)


UNCALIBRATED = Calibration()


@dataclass(frozen=True, slots=True)
class Count:
    """Tokens, and whether they were counted or estimated."""

    tokens: int
    exact: bool


def count(text: str, model: str = "", calibration: Calibration = UNCALIBRATED) -> Count:
    """The tokens of `text` as `model` reads it."""
    vocabulary = vocabulary_of(model)
    if vocabulary is None:
        return Count(round(estimate(text) * calibration.factor), exact=False)
    encoding = _encoding(vocabulary)
    return Count(sum(len(encoding.encode_ordinary(part)) for part in _parts(text)), exact=True)


def count_messages(
    texts: Iterable[str], model: str = "", calibration: Calibration = UNCALIBRATED
) -> Count:
    """The tokens of a chat with these texts, the overheads of messages and answer included."""
    counts = [count(text, model, calibration) for text in texts]
    total = sum(counted.tokens + MESSAGE_OVERHEAD for counted in counts)
    return Count(total + REPLY_OVERHEAD, all(counted.exact for counted in counts))


def vocabulary_of(model: str) -> str | None:
    """The encoding that `model` uses, or None if it is not known."""
    name = model.rpartition("/")[2].casefold()
    for encoding, beginnings in VOCABULARIES:
        if name.startswith(beginnings):
            return encoding
    return None


def text_of(tokens: Sequence[int], vocabulary: str) -> str:
    """What tokens say. Raises KeyError for one that the vocabulary does not know."""
    if any(token < 0 for token in tokens):
        raise KeyError("a token is negative")
    text: str = _encoding(vocabulary).decode(list(tokens))
    return text


def estimate(text: str) -> int:
    """Tokens by the rule, for vocabularies of 100 000 to 200 000 pieces."""
    return round(sum(map(_estimated, _parts(text))))


def _parts(text: str) -> Iterator[str]:
    start = 0
    while len(text) - start > _AT_ONCE:
        blank = text.rfind(" ", start + 1, start + _AT_ONCE)
        end = blank if blank > start else start + _AT_ONCE
        yield text[start:end]
        start = end
    yield text[start:]


def _estimated(text: str) -> float:
    total = 0.0
    for piece in _PIECE.findall(text):
        first = piece[0]
        if first.isspace():
            total += piece.count("\n") > 0
        elif first.isdigit():
            total += -(-len(piece) // _DIGITS_PER_TOKEN)
        elif first >= _DENSE_FROM and first.isalpha():
            total += max(1, len(piece) / 2)
        elif len(piece) <= _LONGEST_ONE_TOKEN_WORD:
            total += 1
        else:
            total += -(-len(piece) // _LETTERS_PER_TOKEN)
    return total


@cache
def _encoding(name: str) -> Any:
    """The encoder, loaded when first counted with: its package takes a second and 140 MB."""
    return import_module("bpe_openai").get_encoding(name)

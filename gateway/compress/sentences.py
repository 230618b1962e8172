"""Sentences of prose with what follows them, so that they can be left out one by one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from gateway.compress.protected import protected_spans

_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9*#-])|\n+")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Sentence:
    """A sentence, and the white space after it; all joined are the prose."""

    text: str
    tail: str

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Its words in lower case."""
        return tuple(_WORD.findall(self.text.casefold()))

    @cached_property
    def spans(self) -> frozenset[str]:
        """Its protected spans."""
        return protected_spans(self.text)

    def says_no_more_than(self, other: Sentence) -> bool:
        """Whether `other` has all its protected spans; equal texts need no look at them."""
        return self.text == other.text or self.spans <= other.spans

    def __str__(self) -> str:
        return self.text + self.tail


def split_sentences(prose: str) -> list[Sentence]:
    """The sentences of `prose`; a line's end is a sentence's end, for lists and headings."""
    found = []
    start = 0
    for match in _END.finditer(prose):
        found.append(Sentence(prose[start : match.start()], match.group()))
        start = match.end()
    if start < len(prose):
        found.append(Sentence(prose[start:], ""))
    return found


def join_sentences(sentences: Iterable[Sentence]) -> str:
    """The prose again."""
    return "".join(map(str, sentences))

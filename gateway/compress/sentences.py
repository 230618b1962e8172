"""Sentences of prose with what follows them, so that they can be left out one by one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.compress.protected import protected_spans

_END = re.compile(r"([.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9*#-])|\n+")
_WORD = re.compile(r"\w+")


@dataclass(slots=True, eq=False)
class Sentence:
    """A sentence, and the white space after it; all joined are the prose."""

    text: str
    tail: str
    _words: tuple[str, ...] | None = field(default=None, init=False, repr=False)
    _spans: frozenset[str] | None = field(default=None, init=False, repr=False)

    @property
    def words(self) -> tuple[str, ...]:
        """Its words in lower case."""
        if self._words is None:
            self._words = tuple(_WORD.findall(self.text.casefold()))
        return self._words

    @property
    def spans(self) -> frozenset[str]:
        """Its protected spans."""
        if self._spans is None:
            self._spans = protected_spans(self.text)
        return self._spans

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
        end = match.end(1) if match.lastindex else match.start()
        found.append(Sentence(prose[start:end], prose[end : match.end()]))
        start = match.end()
    if start < len(prose):
        found.append(Sentence(prose[start:], ""))
    return found


def join_sentences(sentences: Iterable[Sentence]) -> str:
    """The prose again."""
    return "".join([sentence.text + sentence.tail for sentence in sentences])

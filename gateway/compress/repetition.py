"""Sentences that were said before, in the same words or nearly."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.compress.sentences import Sentence

FEWEST_WORDS = 4
"""Shorter sentences ("Yes.", a heading) may repeat on purpose."""

NEARLY = 0.8
"""Jaccard similarity of word triples from which a sentence says nothing new."""

_MOST_SHARING = 8
"""Sentences remembered for a triple: "for example the" is in too many to tell anything."""


@dataclass(slots=True)
class Said:
    """What a prompt has said so far."""

    exactly: dict[tuple[str, ...], list[Sentence]] = field(default_factory=dict)
    triples: dict[tuple[str, ...], list[int]] = field(default_factory=dict)
    sentences: list[tuple[Sentence, int]] = field(default_factory=list)
    """Each with the number of its triples."""

    def repeats(self, sentence: Sentence) -> bool:
        """Whether it was said already with every protected span; if not, it is remembered.

        Spans are looked for last: they cost the most and mostly the words differ already.
        """
        if len(sentence.words) < FEWEST_WORDS:  # a heading
            return False
        words = sentence.words
        same = self.exactly.setdefault(words, [])
        if any(sentence.says_no_more_than(earlier) for earlier in same):
            return True
        triples = set(zip(words, words[1:], words[2:], strict=False))
        if self._nearly(sentence, triples):
            return True
        same.append(sentence)
        self._remember(sentence, triples)
        return False

    def _nearly(self, sentence: Sentence, triples: set[tuple[str, str, str]]) -> bool:
        shared: dict[int, int] = {}
        for triple in triples:
            for number in self.triples.get(triple, ()):
                shared[number] = shared.get(number, 0) + 1
        for number, count in shared.items():
            earlier, size = self.sentences[number]
            union = len(triples) + size - count
            if count >= NEARLY * union and sentence.says_no_more_than(earlier):
                return True
        return False

    def _remember(self, sentence: Sentence, triples: set[tuple[str, str, str]]) -> None:
        number = len(self.sentences)
        self.sentences.append((sentence, len(triples)))
        for triple in triples:
            known = self.triples.setdefault(triple, [])
            if len(known) < _MOST_SHARING:
                known.append(number)

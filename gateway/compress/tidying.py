"""What always runs: layout, wording and repetition, each turn with the care that it wants.

What is free loses courtesies and sentences that the prompt said before. The last turns lose only
what they say twice themselves, and no question and not their end: a person may ask the same again.
Instructions lose no sentence, and show JSON as it is to be written. Nothing that said something is
emptied. What is pinned is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.compress.blocks import Block, Kind, split_blocks
from gateway.compress.packing import pack_json, squeeze
from gateway.compress.repetition import Said
from gateway.compress.sentences import Sentence, split_sentences
from gateway.compress.wording import says_nothing, tighten


class Care(StrEnum):
    """What may be done to a turn."""

    FREE = "free"
    LAST = "last"
    INSTRUCTIONS = "instructions"
    PINNED = "pinned"


_SHOWS = re.compile(
    r"\b(?:formats?|formatted|examples?|schemas?|templates?|shapes?|respond|reply|replies|answer"
    r"|return|produce|generate|write|emit|like this|such as|as follows|e\.g\.)\b"
    r"|^\W*(?:expected |desired |sample )?(?:input|output|response)\W*$",
    re.IGNORECASE,
)
"""In the line before JSON that shows how something is written, rather than telling something."""
_SAME = re.compile(
    r"\b(?:same|this|that|above|given|following) (?:json )?(?:format|schema|structure|shape)\b",
    re.IGNORECASE,
)
_LONGEST_LINE = 300


@dataclass(frozen=True, slots=True)
class _Core:
    """A sentence without what follows it, worded shorter."""

    sentence: Sentence
    nothing: bool
    """It is nothing but courtesy."""


@dataclass(slots=True)
class Tidying:
    """The texts of one prompt, tidied as often as asked; what it knows of a sentence it keeps."""

    settled: bool = False
    """Whether tidying what came last would change nothing more: it falls apart into the very
    blocks and sentences that were kept, and none of them can be said shorter."""
    _cores: dict[str, _Core] = field(default_factory=dict)
    _packed: dict[str, str] = field(default_factory=dict)
    _kept: list[tuple[Kind, str]] = field(default_factory=list)

    def tidy(self, texts: Sequence[str], cares: Sequence[Care]) -> list[str]:
        """The texts of the turns, shorter."""
        said, tidied, self.settled = Said(), [], True
        for text, care in zip(texts, cares, strict=True):
            self._kept = []
            tidied.append(self._turn(text, care, said))
            self.settled = self.settled and (text == tidied[-1] or self._is_settled(tidied[-1]))
        return tidied

    def _is_settled(self, text: str) -> bool:
        found = [part for block in split_blocks(text) for part in _parts(block)]
        return found == self._kept and all(
            self._pack(part) == part
            if kind is Kind.JSON
            else kind is Kind.CODE or self._core(Sentence(part, "")).sentence.text == part
            for kind, part in found
        )

    def _turn(self, text: str, care: Care, said: Said) -> str:
        if care is Care.PINNED:
            return text
        heard = Said() if care is Care.LAST else said
        blocks = list(split_blocks(text))
        shown = care is Care.INSTRUCTIONS or (len(blocks) > 1 and bool(_SAME.search(text)))
        written = ""
        for number, block in enumerate(blocks):
            if block.kind is Kind.PROSE:
                ends = number == len(blocks) - 1
                written += self._prose(block.text, care, heard, ends=ends)
            elif block.kind is Kind.CODE or shown or _SHOWS.search(_last_line(written)):
                written += block.text
                self._kept.append((Kind.CODE, block.text))
            else:
                written += self._pack(block.text)
                self._kept.append((Kind.JSON, self._pack(block.text)))
        if written.strip() or not text.strip():
            return written
        return self._first(blocks)

    def _prose(self, text: str, care: Care, said: Said, *, ends: bool) -> str:
        squeezed = squeeze(text)
        sentences = split_sentences(squeezed)
        cores = [self._core(sentence) for sentence in sentences]
        end = _end(cores) if ends and care is Care.LAST else -1
        parts: list[str] = []
        for number, (sentence, core) in enumerate(zip(sentences, cores, strict=True)):
            if _goes(core, care, said, is_end=number == end):
                parts.append(sentence.tail if "\n" in sentence.tail else "")
            else:
                parts.append(core.sentence.text + sentence.tail)
                if core.sentence.text:
                    self._kept.append((Kind.PROSE, core.sentence.text))
        joined = "".join(parts)
        return joined if joined == squeezed else squeeze(joined)

    def _core(self, sentence: Sentence) -> _Core:
        found = self._cores.get(sentence.text)
        if found is None:
            kept = tighten(sentence)
            found = self._cores[sentence.text] = _Core(kept, says_nothing(kept))
        return found

    def _pack(self, text: str) -> str:
        found = self._packed.get(text)
        if found is None:
            found = self._packed[text] = pack_json(text)
        return found

    def _first(self, blocks: Sequence[Block]) -> str:
        """The first sentence: a turn that said something says something."""
        sentences = (each for block in blocks for each in split_sentences(squeeze(block.text)))
        return next((self._core(each).sentence.text for each in sentences if each.text.strip()), "")


def _goes(core: _Core, care: Care, said: Said, *, is_end: bool) -> bool:
    if core.nothing:
        return care is not Care.INSTRUCTIONS
    repeats = said.repeats(core.sentence)
    if care is Care.FREE:
        return repeats
    return repeats and care is Care.LAST and not is_end and not core.sentence.text.endswith("?")


def _end(cores: Sequence[_Core]) -> int:
    """Where the last sentence is that says something; -1 without one."""
    found = (number for number in reversed(range(len(cores))) if not cores[number].nothing)
    return next((number for number in found if cores[number].sentence.words), -1)


def _parts(block: Block) -> Iterator[tuple[Kind, str]]:
    if block.kind is not Kind.PROSE:
        yield block.kind, block.text
        return
    for sentence in split_sentences(block.text):
        if sentence.text:
            yield Kind.PROSE, sentence.text


def _last_line(text: str) -> str:
    return text[-_LONGEST_LINE:].rstrip().rpartition("\n")[2]

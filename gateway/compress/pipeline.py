"""The steps of a compression in their order: layout, wording, repetition, then selection.

1. Blocks: code stays as it is, JSON is packed, prose goes on.
2. Prose: blanks, empty phrases, sentences that were said before.
3. Over budget: whole sentences, the least relevant and oldest first, never a protected span's
   last mention, never in a pinned message.

The first two always run; the third only with a budget; examples are pruned only if asked to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from gateway.compress.blocks import Block, Kind, split_blocks
from gateway.compress.examples import prune_examples
from gateway.compress.packing import pack_json, squeeze
from gateway.compress.repetition import Said
from gateway.compress.selection import choose_droppable
from gateway.compress.sentences import Sentence, join_sentences, split_sentences
from gateway.compress.wording import says_nothing, tighten

LONGEST = 4_000_000
"""Characters of a prompt that are compressed; a longer one is returned as it is."""

_PASSES = 3
"""A second pass finds what the first made equal; more than three would be a cycle."""

Counter = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a prompt. Pinned turns keep every sentence."""

    role: str
    text: str
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """What a policy asks for."""

    budget: int | None = None
    """Tokens; None: nothing is selected."""
    query: str | None = None
    """What is relevant; None: the last user turn."""
    examples: int | None = None
    """Few-shot examples to keep; None: all."""
    recent: int = 2
    """Last turns that are pinned."""


@dataclass(frozen=True, slots=True)
class Compressed:
    """The turns, shorter, with the tokens before and after."""

    turns: tuple[Turn, ...]
    before: int
    after: int
    within_budget: bool

    @property
    def saved(self) -> float:
        """Share of the tokens that went, from 0 to 1."""
        return 1 - self.after / self.before if self.before else 0.0


def compress(turns: Sequence[Turn], count: Counter, options: Options = Options()) -> Compressed:
    """Shorten a prompt; the same input gives the same output, and its output stays as it is.

    `count` gives the tokens of a text. The order and the roles of the turns never change.
    """
    before = sum(count(turn.text) for turn in turns)
    if sum(len(turn.text) for turn in turns) > LONGEST:
        return Compressed(tuple(turns), before, before, within_budget=not options.budget)
    query = options.query if options.query is not None else _last_question(turns)
    shorter = tuple(turns)
    if options.examples is not None:
        keep = options.examples
        shorter = tuple(
            replace(turn, text=prune_examples(turn.text, query, keep)) for turn in shorter
        )
    for _ in range(_PASSES):
        previous, shorter = shorter, _tidy(shorter)
        if shorter == previous:
            break
    for _ in range(_PASSES):
        excess = sum(count(turn.text) for turn in shorter) - (options.budget or 0)
        if options.budget is None or excess <= 0:
            break
        shorter = _fit(shorter, excess / (excess + options.budget), query, options)
    after = sum(count(turn.text) for turn in shorter)
    if after > before:
        return Compressed(tuple(turns), before, before, _fits(before, options))
    return Compressed(shorter, before, after, _fits(after, options))


def _fits(tokens: int, options: Options) -> bool:
    return options.budget is None or tokens <= options.budget


def _last_question(turns: Sequence[Turn]) -> str:
    return next((turn.text for turn in reversed(turns) if turn.role == "user"), "")


def _tidy(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    said = Said()
    return tuple(
        replace(turn, text="".join(_tidy_block(block, said) for block in split_blocks(turn.text)))
        for turn in turns
    )


def _tidy_block(block: Block, said: Said) -> str:
    if block.kind is Kind.CODE:
        return block.text
    if block.kind is Kind.JSON:
        return pack_json(block.text)
    return squeeze(join_sentences(_tidy_sentences(split_sentences(squeeze(block.text)), said)))


def _tidy_sentences(sentences: Sequence[Sentence], said: Said) -> Iterator[Sentence]:
    """What is left; a sentence that goes leaves its line break, if it had one."""
    for sentence in sentences:
        kept = tighten(sentence)
        if not says_nothing(kept) and not said.repeats(kept):
            yield kept
        elif "\n" in kept.tail:
            yield Sentence("", kept.tail)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A sentence, or a block that is none, and the turn it belongs to."""

    turn: int
    sentence: Sentence
    droppable: bool


def _fit(turns: Sequence[Turn], excess: float, query: str, options: Options) -> tuple[Turn, ...]:
    """The turns without the least relevant sentences, which are to save a share of the tokens.

    Shares are taken by characters: counting the tokens of each sentence would cost more than all
    the rest, and the caller counts the whole again.
    """
    pinned_from = len(turns) - options.recent
    pieces = [
        piece
        for number, turn in enumerate(turns)
        for piece in _pieces(
            number, turn, pinned=turn.pinned or turn.role == "system" or number >= pinned_from
        )
    ]
    weights = [len(piece.sentence.text) if piece.droppable else 0 for piece in pieces]
    surplus = math.ceil(excess * sum(len(turn.text) for turn in turns))
    dropped = choose_droppable([piece.sentence for piece in pieces], query, surplus, weights)
    texts = ["" for _ in turns]
    for position, piece in enumerate(pieces):
        if position not in dropped:
            texts[piece.turn] += str(piece.sentence)
    return tuple(
        replace(turn, text=squeeze(text) if turn.text != text else text)
        for turn, text in zip(turns, texts, strict=True)
    )


def _pieces(number: int, turn: Turn, *, pinned: bool) -> Iterator[_Piece]:
    for block in split_blocks(turn.text):
        if block.kind is Kind.PROSE:
            for sentence in split_sentences(block.text):
                yield _Piece(number, sentence, droppable=not pinned and bool(sentence.words))
        else:
            yield _Piece(number, Sentence(block.text, ""), droppable=False)

"""The steps of a compression in their order: layout, wording, repetition, then selection.

1. Blocks: code stays as it is, JSON is packed, prose goes on.
2. Prose: blanks, empty phrases, sentences that were said before (`tidying`).
3. Over budget: whole sentences, the least relevant and oldest first, never a protected span's
   last mention, never in instructions, in a pinned turn or in the last ones.

The first two always run; the third only with a budget; examples are pruned only if asked to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from gateway.compress.blocks import Kind, split_blocks
from gateway.compress.examples import prune_examples
from gateway.compress.selection import choose_droppable
from gateway.compress.sentences import Sentence, split_sentences
from gateway.compress.tidying import Care, Tidying

LONGEST = 4_000_000
"""Characters of a prompt that are compressed; a longer one is returned as it is."""

_PASSES = 3
"""A second pass finds what the first made equal; more than three would be a cycle."""

INSTRUCTIONS = frozenset({"system", "developer"})
"""Roles that instruct: their turns keep every sentence."""
EMPTIED = "…"
"""What stands for a turn of which a budget left nothing: servers refuse empty ones."""

Counter = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a prompt. Pinned turns stay as they are."""

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
    """Last turns that keep every question and their end, and whatever they do not say twice."""


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
    tokens = _Tokens(count)
    before = tokens.of(turns)
    if sum(len(turn.text) for turn in turns) > LONGEST:
        return Compressed(tuple(turns), before, before, within_budget=not options.budget)
    query = options.query if options.query is not None else _last_question(turns)
    shorter = tuple(turns)
    cares = [_care(number, turn, turns, options) for number, turn in enumerate(turns)]
    if options.examples is not None:
        shorter = _pruned(shorter, query, options.examples)
    shorter = _tidied(shorter, cares)
    for _ in range(_PASSES):
        excess = tokens.of(shorter) - (options.budget or 0)
        if options.budget is None or excess <= 0:
            break
        fitted = _fit(shorter, excess / (excess + options.budget), query, cares)
        shorter = _tidied(fitted, cares)
    after = tokens.of(shorter)
    if after > before:
        return Compressed(tuple(turns), before, before, _fits(before, options))
    return Compressed(shorter, before, after, _fits(after, options))


@dataclass(frozen=True, slots=True)
class _Tokens:
    """Counts each text once."""

    count: Counter
    known: dict[str, int] = field(default_factory=dict)

    def of(self, turns: Sequence[Turn]) -> int:
        for turn in turns:
            if turn.text not in self.known:
                self.known[turn.text] = self.count(turn.text)
        return sum(self.known[turn.text] for turn in turns)


def _care(number: int, turn: Turn, turns: Sequence[Turn], options: Options) -> Care:
    if turn.pinned:
        return Care.PINNED
    if turn.role in INSTRUCTIONS:
        return Care.INSTRUCTIONS
    return Care.LAST if number >= len(turns) - options.recent else Care.FREE


def _pruned(turns: Sequence[Turn], query: str, keep: int) -> tuple[Turn, ...]:
    return tuple(
        turn if turn.pinned else replace(turn, text=prune_examples(turn.text, query, keep))
        for turn in turns
    )


def _tidied(turns: Sequence[Turn], cares: Sequence[Care]) -> tuple[Turn, ...]:
    tidying = Tidying()
    texts = [turn.text for turn in turns]
    for _ in range(_PASSES):
        previous, texts = texts, tidying.tidy(texts, cares)
        if tidying.settled or texts == previous:
            break
    return tuple(
        turn if turn.text == text else replace(turn, text=text)
        for turn, text in zip(turns, texts, strict=True)
    )


def _fits(tokens: int, options: Options) -> bool:
    return options.budget is None or tokens <= options.budget


def _last_question(turns: Sequence[Turn]) -> str:
    return next((turn.text for turn in reversed(turns) if turn.role == "user"), "")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A sentence, or a block that is none, and the turn it belongs to."""

    turn: int
    sentence: Sentence
    droppable: bool


def _fit(
    turns: Sequence[Turn], excess: float, query: str, cares: Sequence[Care]
) -> tuple[Turn, ...]:
    """The turns without the least relevant sentences, which are to save a share of the tokens.

    Shares are taken by characters: counting the tokens of each sentence would cost more than all
    the rest, and the caller counts the whole again.
    """
    pieces = [
        piece
        for number, (turn, care) in enumerate(zip(turns, cares, strict=True))
        for piece in _pieces(number, turn, pinned=care is not Care.FREE)
    ]
    weights = [len(piece.sentence.text) if piece.droppable else 0 for piece in pieces]
    surplus = math.ceil(excess * sum(len(turn.text) for turn in turns))
    dropped = choose_droppable([piece.sentence for piece in pieces], query, surplus, weights)
    texts = ["" for _ in turns]
    for position, piece in enumerate(pieces):
        if position not in dropped:
            texts[piece.turn] += str(piece.sentence)
    return tuple(
        turn if turn.text == text else replace(turn, text=text if text.strip() else EMPTIED)
        for turn, text in zip(turns, texts, strict=True)
    )


def _pieces(number: int, turn: Turn, *, pinned: bool) -> Iterator[_Piece]:
    for block in split_blocks(turn.text):
        if block.kind is Kind.PROSE:
            for sentence in split_sentences(block.text):
                yield _Piece(number, sentence, droppable=not pinned and bool(sentence.words))
        else:
            yield _Piece(number, Sentence(block.text, ""), droppable=False)

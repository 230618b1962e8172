"""Few-shot examples, recognised by their markers, and the choice of those that fit the question."""

from __future__ import annotations

import re
from collections.abc import Sequence

_MARKER = re.compile(
    r"^(?:(?:Example|Sample|Shot)\s*#?\d*\s*[:.)]|(?:Q|Input|Question|User)\s*:)", re.MULTILINE
)
_WORD = re.compile(r"\w{4,}")
FEWEST = 2
"""Fewer marked stretches are no list of examples."""


def prune_examples(text: str, query: str, keep: int) -> str:
    """`text` with the `keep` examples that share most words with `query`, in their order."""
    starts = [match.start() for match in _MARKER.finditer(text)]
    if len(starts) < max(FEWEST, keep + 1):
        return text
    ends = [*starts[1:], _end_of_last(text, starts[-1])]
    examples = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    chosen = _most_alike(examples, query, keep)
    return text[: starts[0]] + "".join(examples[number] for number in chosen) + text[ends[-1] :]


def _end_of_last(text: str, start: int) -> int:
    """The last example ends where an empty line does, for what follows is no example."""
    gap = text.find("\n\n", start)
    return len(text) if gap < 0 else gap + 2


def _most_alike(examples: Sequence[str], query: str, keep: int) -> list[int]:
    asked = set(_WORD.findall(query.casefold()))
    shared = [len(asked.intersection(_WORD.findall(example.casefold()))) for example in examples]
    ranked = sorted(range(len(examples)), key=lambda number: (-shared[number], number))
    return sorted(ranked[:keep])

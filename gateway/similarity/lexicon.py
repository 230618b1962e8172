"""The words of ``lexicon.yaml``, read once: what may be said in two ways, and what may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_LEXICON: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parent / "lexicon.yaml").read_text(encoding="utf-8")
)

FILLERS: frozenset[str] = frozenset(_LEXICON["fillers"])
PHRASES: dict[str, str] = {
    phrase: str(word) for word, phrases in _LEXICON["phrases"].items() for phrase in phrases
}
SYNONYMS: tuple[frozenset[str], ...] = tuple(map(frozenset, _LEXICON["synonyms"]))
ANTONYMS: frozenset[frozenset[str]] = frozenset(map(frozenset, _LEXICON["antonyms"]))

NUMBER_WORDS: dict[str, int] = {
    word: number for number, words in _LEXICON["numbers"].items() for word in words.split()
}
"""Without "one", which mostly means somebody or something."""

CALENDAR: dict[str, str] = {
    form: words.split()[0] for words in _LEXICON["calendar"] for form in words.split()
}
"""What dates a question like a number does, each form with the one that stands for it."""

FUNCTION_WORDS: frozenset[str] = frozenset(_LEXICON["function"].split())
WEAK_WORDS: frozenset[str] = frozenset(_LEXICON["weak"].split())

"""Questions as comparable words: what is noise goes, what can be said in two ways becomes one.

1. Unicode to NFKC, curly quotes to straight ones, contractions to full words.
2. Fillers and courtesies go (``lexicon.yaml``), wherever they stand as whole words.
3. Phrases that ask the same thing become one word ("what is the price of" and "how much is").
4. Tokens: numbers with their unit, code identifiers, names, content words, weak words.

The result knows which words name something (capitalised inside a sentence), because a swapped
name changes an answer more than a swapped verb.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from gateway.similarity.lexicon import (
    CALENDAR,
    FILLERS,
    FUNCTION_WORDS,
    NUMBER_WORDS,
    PHRASES,
    WEAK_WORDS,
)

LONGEST = 8_000
"""Characters that are compared; what follows is ignored (and such texts are not similar hits)."""


class Kind(IntEnum):
    """What a token contributes to the meaning, from nothing to everything."""

    FUNCTION = 0
    WEAK = 1
    CONTENT = 2
    NAME = 3
    NUMBER = 4
    CODE = 5


@dataclass(frozen=True, slots=True)
class Word:
    """One token: as written in lower case, its stem, and its kind."""

    text: str
    stem: str
    kind: Kind


_CONTRACTIONS = (
    (re.compile(r"\bcan't\b|\bcannot\b|\bcant\b"), "can not"),
    (re.compile(r"\bwon't\b|\bwont\b"), "will not"),
    (re.compile(r"\bshan't\b"), "shall not"),
    (re.compile(r"\b(\w+)n't\b"), r"\1 not"),
    (re.compile(r"\b(do|does|did|is|are|was|were|has|have|had|would|could|should)nt\b"), r"\1 not"),
    (re.compile(r"\b(what|where|when|who|how|that|there|it|here)'?s\b"), r"\1 is"),
    (re.compile(r"\b(i)'?m\b"), r"\1 am"),
    (re.compile(r"\b(\w+)'re\b"), r"\1 are"),
    (re.compile(r"\b(\w+)'ve\b"), r"\1 have"),
    (re.compile(r"\b(\w+)'ll\b"), r"\1 will"),
    (re.compile(r"\b(i|you|he|she|we|they)'d\b"), r"\1 would"),
    (re.compile(r"\bid (?=like|love|prefer)"), "i would "),
)
_CONTRACTED = re.compile(
    r"'|\b(?:can(?:no)?t|wont|\w+nt|(?:what|where|when|who|how|that|there|it|here)s|im|id)\b"
)
"""In every text that one of them changes."""

_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "`": "'", "“": '"', "”": '"', "–": "-", "—": "-"})
_TOKEN = re.compile(
    r"""(?P<code>`[^`]+`|\b\w+\(\)|\b\w+(?:_\w+)+\b|\b\w+::\w+\b|(?<!\w)--?[a-z][\w-]+\b
            |\b[\w-]+\.(?:py|js|ts|json|ya?ml|csv|txt|md|sh|sql|html?|css|toml|ini|exe|pdf|xlsx?)\b
            |https?://\S+|\b[a-z](?:\+\+|\#)(?!\w)|[<>]=?|[=^*+](?=\s*\d))
      | (?P<number>[£$€]?\d+(?:[.,:]\d+)*%?[a-z]{0,4}\b|[£$€]?\d+(?:[.,:]\d+)*%?)
      | (?P<word>[^\W\d_]+(?:'[^\W\d_]+)?)""",
    re.VERBOSE,
)
_SUFFIXES = (
    ("ational", "ate"), ("isation", "ise"), ("ization", "ise"), ("izing", "ise"), ("ized", "ise"),
    ("ize", "ise"), ("ation", "ate"), ("nesses", ""), ("ments", "ment"), ("ingly", ""),
    ("ies", "y"), ("sses", "ss"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"),
    ("ing", ""), ("edly", ""), ("ied", "y"), ("ed", ""), ("es", "e"), ("s", ""),
)  # fmt: skip
_KEPT = 3
"""Letters that a stem keeps at least."""

_LONG_ADVERB = 6
"""Letters: "quickly" is an adverb, "apply" and "supply" are not."""


def fold(text: str) -> str:
    """`text` in NFKC, lower case, with straight quotes and written-out contractions."""
    folded = unicodedata.normalize("NFKC", text[:LONGEST]).translate(_APOSTROPHES).casefold()
    if _CONTRACTED.search(folded):
        for pattern, full in _CONTRACTIONS:
            folded = pattern.sub(full, folded)
    return folded


@lru_cache(maxsize=16_384)
def stem(word: str) -> str:
    """`word` without its inflection: light, and the same for British and American spelling."""
    word = word.removesuffix("'s").replace("'", "").replace("colour", "color")
    if word.endswith("ly") and len(word) > _LONG_ADVERB:
        word = word.removesuffix("ly")
    for suffix, instead in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _KEPT and not word.endswith("ss"):
            word = word.removesuffix(suffix) + instead
            break
    if len(word) > _KEPT and word[-1] == word[-2] and word[-1] not in "aeiosl":
        word = word[:-1]  # stopp(ing) → stop
    return word.removesuffix("e") if len(word) > _KEPT else word


def is_comparable(text: str) -> bool:
    """Whether a text is read whole and has words."""
    return len(text) <= LONGEST and any(letter.isalnum() for letter in text)


def plain(text: str) -> str:
    """`text` folded, without fillers and punctuation: equal for near repeats of a question."""
    return _PHRASE.sub(_canonical, _FILLER.sub(" ", _loose(fold(text))))


def words(text: str) -> tuple[Word, ...]:
    """The comparable words of `text`, in order."""
    names = _names(text)
    found = []
    for match in _TOKEN.finditer(_PHRASE.sub(_canonical, _FILLER.sub(" ", fold(text)))):
        token = match.group().strip("`")
        found.append(_word(token, match.lastgroup or "word", names))
    return tuple(found)


def _word(token: str, group: str, names: frozenset[str]) -> Word:
    if group == "code":
        return Word(token, token, Kind.CODE)
    if group == "number":
        return Word(token, token.replace(",", ""), Kind.NUMBER)
    if token in CALENDAR:
        return Word(token, CALENDAR[token], Kind.NUMBER)
    if token in NUMBER_WORDS:
        return Word(token, str(NUMBER_WORDS[token]), Kind.NUMBER)
    if token.removesuffix("'s") in names:
        return Word(token, stem(token), Kind.NAME)
    if token in FUNCTION_WORDS:
        return Word(token, token, Kind.FUNCTION)
    return Word(token, stem(token), Kind.WEAK if token in WEAK_WORDS else Kind.CONTENT)


def _names(text: str) -> frozenset[str]:
    """Words with a capital that no sentence's beginning explains; none in a text of capitals."""
    text = unicodedata.normalize("NFKC", text[:LONGEST]).translate(_APOSTROPHES)
    if text.upper() == text:
        return frozenset()
    inside = re.findall(r"(?<![.!?:\n]\s)(?<!^)(?<![\w'-])([A-Z][\w]*)", text.strip())
    upper = re.findall(r"\b([A-Z]{2,}s?)\b", text)
    return frozenset(word.casefold() for word in (*inside, *upper) if word not in {"I", "OK"})


def _loose(text: str) -> str:
    return " ".join(re.findall(r"[\w£$€%]+(?:[.:,]\d+)*", text.replace("'", "")))


def _canonical(match: re.Match[str]) -> str:
    return f" {PHRASES[' '.join(match.group().split())]} "


def _any(phrases: object) -> re.Pattern[str]:
    ordered = sorted(map(str, phrases), key=len, reverse=True)  # type: ignore[call-overload]
    alternatives = "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in ordered)
    return re.compile(rf"(?<![\w'-])(?:{alternatives})(?![\w'-])")


_FILLER = _any(FILLERS)
_PHRASE = _any(PHRASES)

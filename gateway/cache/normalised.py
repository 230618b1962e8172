"""L2: the same words, apart from case, courtesies at the edges, contractions and a closing mark.

Nothing weighs this hit afterwards, so a question has such a form only if it is plain prose:

* Letters, digits, blanks and the marks of a sentence; no sign, bracket, quote, or line break.
* What stands inside stays and keeps its place: words, commas, hyphens, genitives, and capitals
  that no sentence's beginning explains ("Polish", "US").
* No letter that stands for something ("x", "B"), no minus, no factorial.
* A courtesy is only one where a question follows or a comma goes before; where words are spoken
  about ("how do you say …, please") it may be what is asked.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from gateway.cache.encoding import digest
from gateway.similarity.words import LONGEST, fold

_BREAKS = re.compile(r"[\n\r\v\f\x1c-\x1f\x85\u2028\u2029]")
_STRAIGHT = str.maketrans({"’": "'", "‘": "'", "–": "-", "—": "-", "…": "."})
_MARKS = frozenset(" .,;:!?'-¿¡")

_MEANT = re.compile(
    r"(?<![^\W\d_])'|'(?![^\W\d_])"  # a quote, a prime, feet
    r"|-(?=[\W\d])|(?<=[\W\d])-|^-|-$"  # a minus, an option, a range
    r"|\d\s*!|^[.,;:!?]"
    r"|(?<![\w'])(?![ai]\b)[^\W\d_](?![\w'])",  # a letter that stands for something
    re.IGNORECASE,
)
_DASH = re.compile(r"(?<=[^\W\d_]{2}) - (?=[^\W\d_]{2})")
_PRONOUN = re.compile(
    r"\bI(?='(?:m|d|ve|ll)\b"
    r"|\s+(?:am|have|had|can|could|do|did|need|want|would|will|should|must|may|was|get|use|pay)\b)"
    r"|(?<=\b(?i:do|if) )I\b|(?<=\b(?i:can|may|did) )I\b|(?<=\b(?i:when|must|will|have) )I\b"
    r"|(?<=\b(?i:could|would) )I\b|(?<=\b(?i:should) )I\b"
)
_CAPITAL = re.compile(r"(?<![\w'-])[\w'-]*[A-ZÀ-ÞΑ-ΩА-Я][\w'-]*")
_BEGINS = re.compile(r"(?:^|[.!?] )\W*([^\W\d_])([\w'-]*)")

_POLITE = r"please|pls|plz|kindly|thanks(?: in advance)?|thank you|many thanks|thx|cheers"
_COURTESY = (
    rf"{_POLITE}|hi|hiya|hello|hey|good (?:morning|afternoon|evening)|excuse me|quick question"
    r"|ok|okay|so|well|um+|uh|er|erm|ah|oh|hmm"
)
_ASKS = (
    r"how|what|when|where|why|who|which|can|could|do|does|did|is|are|was|were|will|would|should"
    r"|may|must|has|have|i|my|tell|show|give|explain|help"
)
_BEFORE = re.compile(rf"^(?:(?:{_COURTESY})(?![\w'-])[\s,.!;:-]*)+(?=(?:{_ASKS})\b)", re.IGNORECASE)
_AFTER = re.compile(rf"(?<=[,.!?;])\s*(?:(?:{_POLITE})(?![\w'-])[\s,.!?;-]*)+$", re.IGNORECASE)
_PLEASE = re.compile(r"\s(?:please|pls|plz)\W*$", re.IGNORECASE)
"""The only courtesy that may end a question without a comma: no other one can stand for it."""

_SPOKEN_ABOUT = re.compile(
    r":|\b(?:say|says|said|saying|spell\w*|translat\w+|mean\w*|words?|writ\w+|pronounc\w+|phrases?"
    r"|repl\w+|respon\w+|sentences?|rhym\w+|letters?|called|sign|type|sing|song|lyrics|read|reads"
    r"|sagt|hei(?:ss|ß)t|dit|dice|significa)\b",
    re.IGNORECASE,
)


def normalised(question: str) -> str | None:
    """Equal for two questions only if one answer serves both; None: this has no such form."""
    text = _plain(question)
    if text is None:
        return None
    if not _SPOKEN_ABOUT.search(text):
        text = _PLEASE.sub("", _AFTER.sub("", _BEFORE.sub("", text)))
    text = text.strip(" ¿¡").rstrip(" .,;:!?")
    folded = " ".join(fold(text).split())
    return f"{folded}\n{_capitals(text)}" if folded else None


def normalised_key(scope_key: str, question: str) -> str | None:
    """SHA-256 of the normal form within a scope."""
    form = normalised(question)
    return None if form is None else digest((scope_key, "normalised", form))


def _plain(question: str) -> str | None:
    """The text in single blanks and straight quotes; None if more than its words has a meaning."""
    if len(question) > LONGEST or _BREAKS.search(question.strip()):
        return None
    text = " ".join(question.split()).translate(_STRAIGHT)
    if unicodedata.normalize("NFKC", text) != unicodedata.normalize("NFC", text):
        return None  # ², ½, ﬁ
    if not all(letter in _MARKS or _is_word(letter) for letter in text):
        return None
    return None if _MEANT.search(_DASH.sub(" ", text)) or _names_a(text) else text


def _names_a(text: str) -> bool:
    """Whether an "A" is more than the article at the beginning."""
    articles = re.findall(r"(?<![\w'-])[aA](?![\w'-])", text)
    return "A" in articles and (len(articles) > 1 or not text.startswith("A"))


def _capitals(text: str) -> str:
    """Words whose capitals mean something, each with its place among those of the same letters."""
    text = _PRONOUN.sub("i", text)
    text = _BEGINS.sub(_begun, text)
    met: Counter[str] = Counter()
    found = []
    for word in re.findall(r"[\w'-]+", text):
        folded = word.casefold()
        met[folded] += 1
        if _CAPITAL.fullmatch(word) or folded != word.lower():
            found.append(f"{word}{met[folded]}")
    return " ".join(found)


def _begun(match: re.Match[str]) -> str:
    """A sentence's beginning without its capital, unless the word has more or is one letter."""
    whole, rest = match.group(), match.group(2)
    if rest != rest.lower() or (not rest and match.group(1) != "A"):
        return whole
    return whole[: len(whole) - len(rest) - 1] + match.group(1).lower() + rest


def _is_word(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "LM" or letter.isdecimal()

"""What compression must keep: the spans of a text that an answer may depend on to the letter."""

from __future__ import annotations

import re
from enum import StrEnum


class Span(StrEnum):
    """Kinds of protected spans."""

    TEMPLATE = "template"
    CODE = "code"
    URL = "url"
    QUOTE = "quote"
    NUMBER = "number"
    NEGATION = "negation"
    NAME = "name"


_NEGATION = (
    r"\b(?:[Nn]ot|[Nn]o|[Nn]ever|[Nn]one|[Nn]or|[Nn]either|[Ww]ithout|[Cc]annot|[Ee]xcept|[Uu]nless"
    r"|\w+n't)\b"
)
_PATTERNS = {
    Span.TEMPLATE: r"\{\{[^{}\n]+\}\}|\$\{[^{}\n]+\}|(?<!\w)\{[a-zA-Z_]\w*\}"
    r"|%\(\w+\)[sd]|<[A-Z_]{2,}>",
    Span.URL: r"(?:https?|ftp)://[^\s)>\]\"']+|\b[\w.+-]+@[\w-]+\.[\w.]+\w",
    Span.CODE: r"`[^`\n]+`|\b\w+(?:_\w+)+\b|\b[a-z]+(?:[A-Z][a-z0-9]+)+\b|\b\w+\(\)"
    r"|(?<!\w)--[a-z][\w-]*|(?<![\w.])(?:[\w-]*/)+[\w-]+\.\w{1,5}\b",
    Span.QUOTE: r'"[^"\n]{1,200}"|“[^”\n]{1,200}”|«[^»\n]{1,200}»',
    Span.NUMBER: r"[£$€¥]?\d+(?:[.,:/-]\d+)*(?:\s?(?:%|°[CF]?|[kKMG]?(?:B|Hz|W|g|m|s|l|V|A)\b"
    r"|(?:ms|cm|mm|km|kg|mg|min|hours?|days?|weeks?|months?|years?|USD|EUR|GBP|am|pm)\b))?",
    Span.NEGATION: _NEGATION,
    Span.NAME: r"(?<=[\w,;)] )[A-Z]\w*(?:\s[A-Z]\w*)*|\b[A-Z]{2,}\w*\b",
}  # fmt: skip
_ANY = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _PATTERNS.items()))
_I = frozenset({"I"})
_HINT = re.compile(rf"(?<!^)[A-Z]|[\d`\"“«{{<$%/_@]|--|\(\)|{_NEGATION}")
"""What every pattern needs; most sentences of prose have none of it, and this is soon seen."""


def protected_spans(text: str) -> frozenset[str]:
    """The protected spans of `text`, each once."""
    if not _HINT.search(text):
        return frozenset()
    return frozenset(match.group() for match in _ANY.finditer(text)) - _I


def spans_by_kind(text: str) -> dict[Span, list[str]]:
    """The same in order, by kind: what the bench counts."""
    found: dict[Span, list[str]] = {kind: [] for kind in Span}
    for match in _ANY.finditer(text):
        if match.lastgroup and match.group() not in _I:
            found[Span(match.lastgroup)].append(match.group())
    return found

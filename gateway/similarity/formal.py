"""What of a question is code or arithmetic: there each sign counts, and so does where it stands.

Prose may be said in other words; ``2*(3+4)`` and ``(2*3)+4`` have the same words and another
answer. Read here, and compared by :func:`differ`:

* Quoted code (fences, backticks), to the letter; the indents of lines.
* Operators, brackets and commas in them, in order, with the operands beside them.
* Words that stand in two casings: "Is A greater than a?".
* Percentages and amounts of money, in order.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.similarity.words import stem

_STRAIGHT = str.maketrans("’‘′−–", "'''--")
_QUOTED = re.compile(r"(```|~~~)(.*?)(?:\1|\Z)|(`+)([^`]+)\3", re.DOTALL)
_TOKEN = re.compile(
    r"""(?P<operand>\w+(?:[.:,]\d+)*(?:'\w+)*'*)
      | (?P<plural>\(e?s\))
      | (?P<sign>[<>=!+*&|-]{2,}|->|=>|[<>=≤≥≠+^*\#±×÷√~!%/-])
      | (?P<open>[(\[{]) | (?P<close>[)\]}]) | (?P<comma>[,;])""",
    re.VERBOSE,
)
_ALWAYS = frozenset("+<>=≤≥≠^*#±×÷√")
_LIKELY = frozenset("-/%")
"""Signs only beside what is operated on: "well-known", "and/or" and "5%" are words."""

_PROSE = re.compile(r"[A-Za-z0-9 .,:?']*")
_NOT_PROSE = re.compile(r"(?!I\b)[A-Z]|\dp|\d per")
"""Without a capital inside there are no two casings, and a percentage is one."""

_MARKED = re.compile(r"[£$€]\s?\d[\d.,]*\d|[£$€]\s?\d|\d[\d.,]*\s?(?:%|per\s?cent\b)")
_INNER = re.compile(r"(?<![.!?:\n]\s)(?<!^)(?<![\w'-])([^\W\d_]\w*)")


@dataclass(frozen=True, slots=True)
class Formal:
    """The formal part of a text; empty for prose."""

    signs: tuple[str, ...] = ()
    marked: tuple[str, ...] = ()
    """Percentages and amounts, as "%5": said otherwise ("five per cent") they are not here."""


_NOTHING = Formal()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    before: str
    """Blanks before it, or other letters that are no token."""


def formal(text: str) -> Formal:
    """What must stand in both of two texts."""
    if text.isascii() and _PROSE.fullmatch(text) and not _NOT_PROSE.search(text, 1):
        return _NOTHING
    quoted = tuple("".join(found[1::2]) for found in _QUOTED.findall(text))
    rest = _QUOTED.sub(" ` ", text)
    straight = unicodedata.normalize("NFKC", _superscripts(rest)).translate(_STRAIGHT)
    signs = (*quoted, *_indents(rest), *_cased(straight), *_signs(_tokens(straight)))
    return Formal(signs, tuple(map(_mark, _MARKED.findall(straight.casefold()))))


def differ(a: Formal, b: Formal) -> bool:
    """Whether the texts are formally other ones."""
    return a.signs != b.signs or bool(a.marked and b.marked and a.marked != b.marked)


def _superscripts(text: str) -> str:
    """x² as x^2: NFKC would make it x2."""
    return "".join(
        f"^{unicodedata.digit(letter)}"
        if letter.isdigit() and unicodedata.decomposition(letter).startswith("<super>")
        else letter
        for letter in text
    )


def _mark(found: str) -> str:
    number = re.sub(r"[^\d.]", "", found).rstrip(".")
    return (found[0] if found[0] in "£$€" else "%") + number


def _indents(text: str) -> Iterator[str]:
    lines = [line.expandtabs() for line in text.strip("\n").splitlines() if line.strip()]
    if len(lines) > 1 and any(line[0].isspace() for line in lines[1:]):
        yield "indents " + " ".join(str(len(line) - len(line.lstrip())) for line in lines)


def _cased(text: str) -> Iterator[str]:
    """All occurrences of words that stand inside a sentence both with and without a capital."""
    inner = _INNER.findall(text)
    begins = re.match(r"\W*([^\W\d_])\b", text)  # a single letter names something there too
    seen = {word for word in (*inner, *(begins.groups() if begins else ())) if word not in "Ii"}
    twice = {word.casefold() for word in seen if word.casefold() in seen and word[0].isupper()}
    if twice:
        yield from (word for word in re.findall(r"\w+", text) if word.casefold() in twice)


def _tokens(text: str) -> list[_Token]:
    found, end = [], 0
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "plural":
            found.append(_Token(match.lastgroup or "", match.group(), text[end : match.start()]))
        end = match.end()
    return found


def _signs(tokens: Sequence[_Token]) -> Iterator[str]:
    """Operators, brackets and what is beside them; nothing if none operates on anything."""
    sure = [_operates(tokens, place) for place in range(len(tokens))]
    if not any(sure):
        return
    shown = {
        place
        for place, token in enumerate(tokens)
        if sure[place] or token.kind in {"open", "close"} or _stands_alone(tokens, place)
    }
    beside = {near for place in shown for near in _beside(tokens, place)}
    depth = 0
    for place, token in enumerate(tokens):
        depth += (token.kind == "open") - (token.kind == "close")
        if place in shown or (token.kind == "comma" and depth > 0):
            yield token.text
        elif token.kind == "operand" and place in beside:
            folded = token.text.casefold()
            yield folded if folded.endswith("'") else stem(folded)


def _beside(tokens: Sequence[_Token], place: int) -> Iterator[int]:
    """The operands of a sign: what touches it, or stands apart from it on both sides."""
    before = bool(tokens[place].before)
    after = place + 1 < len(tokens) and bool(tokens[place + 1].before)
    spaced = before and after and tokens[place].kind == "sign"
    if place and (not before or spaced or _is_operated(tokens[place - 1])):
        yield place - 1
    if place + 1 < len(tokens) and (not after or spaced or _is_operated(tokens[place + 1])):
        yield place + 1


def _operates(tokens: Sequence[_Token], place: int) -> bool:
    """Whether a sign is one of arithmetic or code, or a bracket one of a call."""
    token = tokens[place]
    before = tokens[place - 1] if place else None
    after = tokens[place + 1] if place + 1 < len(tokens) else None
    if token.kind == "open":
        return before is not None and before.kind in {"operand", "close"} and not token.before
    if token.kind != "sign":
        return False
    if token.text[0] in _ALWAYS or (len(token.text) > 1 and token.text.strip("!")):
        return True
    if token.text[0] == "!":
        return before is not None and _is_operated(before) and not token.before
    if token.text == "%":
        return bool(token.before) and after is not None and _is_operated(after)
    if token.text == "-" and after is not None and not after.before and after.kind != "close":
        opens = before is None or before.kind in {"open", "sign"}
        if opens or (token.before and before is not None and before.kind != "close"):
            return True  # -5, --option
    return bool(before and after and _is_operated(before) and _is_operated(after))


def _is_operated(token: _Token) -> bool:
    """Brackets, numbers and letters that stand for something."""
    if token.kind != "operand":
        return token.kind in {"open", "close"}
    return token.text[0].isdigit() or len(token.text.rstrip("'")) == 1


def _stands_alone(tokens: Sequence[_Token], place: int) -> bool:
    """A minus or stroke between blanks, where other signs operate."""
    token = tokens[place]
    after = tokens[place + 1] if place + 1 < len(tokens) else None
    return token.text in _LIKELY and bool(token.before) and after is not None and bool(after.before)

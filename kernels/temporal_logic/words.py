"""The words of the grammar: operators in their usual spellings, tokens, and errors with a place."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

Span = tuple[int, int]
"""First and one past the last character of a part in the text it was parsed from."""


class Kind(StrEnum):
    """What an operation is; the value is how it is printed."""

    NOT = "!"
    AND = "&"
    OR = "|"
    IMPLIES = "->"
    IFF = "<->"
    XOR = "xor"
    NEXT = "X"
    WEAK_NEXT = "WX"
    EVENTUALLY = "F"
    ALWAYS = "G"
    UNTIL = "U"
    RELEASE = "R"
    WEAK_UNTIL = "W"
    STRONG_RELEASE = "M"
    PREVIOUS = "Y"
    WEAK_PREVIOUS = "Z"
    ONCE = "O"
    HISTORICALLY = "H"
    SINCE = "S"
    TRIGGER = "T"
    RISE = "rise"
    FALL = "fall"


TIMED = frozenset(
    {
        *(Kind.EVENTUALLY, Kind.ALWAYS, Kind.UNTIL, Kind.RELEASE, Kind.WEAK_UNTIL),
        *(Kind.STRONG_RELEASE, Kind.ONCE, Kind.HISTORICALLY, Kind.SINCE, Kind.TRIGGER),
    }
)
"""The operators that take an interval of samples."""


PREFIXES = {
    **dict.fromkeys(("!", "~", "¬", "not"), Kind.NOT),
    **dict.fromkeys(("G", "[]", "□", "always", "globally"), Kind.ALWAYS),
    **dict.fromkeys(("F", "<>", "◇", "eventually", "finally"), Kind.EVENTUALLY),
    **dict.fromkeys(("X", "○", "sX", "next", "s_next", "strong_next"), Kind.NEXT),
    **dict.fromkeys(("N", "WX", "wX", "weak_next"), Kind.WEAK_NEXT),
    **dict.fromkeys(("Y", "prev", "previous", "yesterday", "s_prev"), Kind.PREVIOUS),
    **dict.fromkeys(("Z", "weak_prev", "weak_previous"), Kind.WEAK_PREVIOUS),
    **dict.fromkeys(("O", "once"), Kind.ONCE),
    **dict.fromkeys(("H", "historically"), Kind.HISTORICALLY),
    "rise": Kind.RISE,
    "fall": Kind.FALL,
}
TEMPORAL = {
    **dict.fromkeys(("U", "until"), Kind.UNTIL),
    **dict.fromkeys(("R", "release", "releases"), Kind.RELEASE),
    **dict.fromkeys(("W", "weak_until", "unless"), Kind.WEAK_UNTIL),
    **dict.fromkeys(("M", "strong_release"), Kind.STRONG_RELEASE),
    **dict.fromkeys(("S", "since"), Kind.SINCE),
    **dict.fromkeys(("T", "trigger", "triggered"), Kind.TRIGGER),
}
LEVELS: tuple[dict[str, Kind], ...] = (
    {
        **dict.fromkeys(("<->", "<=>", "↔", "iff"), Kind.IFF),
        **dict.fromkeys(("xor", "^", "⊕"), Kind.XOR),
    },
    dict.fromkeys(("->", "=>", "→", "implies"), Kind.IMPLIES),
    dict.fromkeys(("|", "||", "\\/", "∨", "or"), Kind.OR),
    dict.fromkeys(("&", "&&", "/\\", "∧", "and"), Kind.AND),
    TEMPORAL,
)
RIGHTWARDS = frozenset({Kind.IMPLIES, *TEMPORAL.values()})
FLAT = frozenset({Kind.AND, Kind.OR})
"""The operators that take all that is joined in a row at once, however many."""

COMPARATORS = {
    **{sign: sign for sign in (">", ">=", "<", "<=", "==", "!=")},
    "=": "==",
    "!==": "!=",
    "≥": ">=",
    "≤": "<=",
    "≠": "!=",
}
TRUTHS = {"true": True, "tt": True, "false": False, "ff": False}
INFINITE = frozenset({"inf", "infinity", "∞"})

_LEVEL_WORDS = {word for level in LEVELS for word in level}
_SYMBOLS = sorted(
    {word for word in {*PREFIXES, *_LEVEL_WORDS, *COMPARATORS} if not word[0].isalpha()}
    | set("()[],:+-*/∞"),
    key=len,
    reverse=True,
)
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|\"(?P<double>[^\"]+)\"|'(?P<single>[^']+)'"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_.]*)"
    r"|(?P<symbol>" + "|".join(re.escape(symbol) for symbol in _SYMBOLS) + "))"
)
_CHAIN = re.compile("[GFXYZOH]{2,}")


RESERVED = frozenset({*PREFIXES, *_LEVEL_WORDS, *INFINITE, *TRUTHS, "last", "abs"})
"""Words of the grammar; a signal of that name is written in quotes."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


class FormulaError(ValueError):
    """A text that is no formula: what was found at `position` (from 0), and a `hint`."""

    def __init__(self, what: str, position: int, hint: str) -> None:
        super().__init__(f"at position {position}: {what}; {hint}")
        self.position = position
        self.hint = hint


class Token(NamedTuple):
    """A word, symbol, number or quoted name, with where it stands."""

    kind: str
    text: str
    span: Span


def quoted(name: str) -> str:
    """A name as the grammar takes it back: in quotes where it would mean something else."""
    plain = _PLAIN.fullmatch(name) and not name.endswith(("_", "."))
    operators = _CHAIN.fullmatch(name)
    return name if plain and not operators and name not in RESERVED else f'"{name}"'


def tokens_of(text: str) -> list[Token]:
    """The tokens and an end. Raises FormulaError at a character that begins none."""
    found = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            position += len(text[position:]) - len(text[position:].lstrip())
            raise FormulaError(
                f"{text[position]!r} is not understood",
                position,
                'names are letters, digits, _ and dots; write others in quotes: "my signal"',
            )
        kind = match.lastgroup or ""
        found.append(Token(kind, match[kind], (match.start(kind), match.end())))
        position = match.end()
    return [*_split_chains(found), Token("end", "", (len(text), len(text)))]


def _split_chains(tokens: list[Token]) -> list[Token]:
    """`GF p` as `G F p`, `G_[0,1]` as `G[0,1]`; left alone where no operand follows."""
    out: list[Token] = []
    for at, token in enumerate(tokens):
        following = tokens[at + 1] if at + 1 < len(tokens) else None
        stripped = token.text.rstrip("_")
        if token.kind == "word" and begins(following) and _CHAIN.fullmatch(token.text):
            start = token.span[0]
            out += [
                Token("word", letter, (start + i, start + i + 1))
                for i, letter in enumerate(token.text)
            ]
        elif following and following.text == "[" and stripped in {*PREFIXES, *TEMPORAL}:
            out.append(token._replace(text=stripped))
        else:
            out.append(token)
    return out


def begins(token: Token | None) -> bool:
    """Whether an operand may begin with this token, so that a letter before it is an operator."""
    if token is None or token.kind == "end":
        return False
    if token.kind == "symbol":
        return token.text in {"(", "["} or token.text in PREFIXES
    return not any(token.text in level for level in LEVELS) or token.text in {*"URWMST"}

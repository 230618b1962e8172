"""Layout without meaning: blanks in prose, white space in JSON, keys repeated in every row.

JSON is packed by its tokens, not by reading and writing it: ``1.50`` stays ``1.50``.
"""

from __future__ import annotations

import json
import re
from json.encoder import encode_basestring
from typing import Any

_STRING_OR_MARKS = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"]+', re.DOTALL)
_BLANKS = re.compile(r"(?<=\S)[ \t\u00a0]{2,}")
_TRAILING = re.compile(r"[ \t\u00a0]+(?=\n|\Z)")
_EMPTY_LINES = re.compile(r"\n{3,}")
_RULE = re.compile(r"([-=_*#~.])\1{5,}")
_RULES = tuple(mark * 6 for mark in "-=_*#~.")
_FEWEST_ROWS = 3


def squeeze(prose: str) -> str:
    """Prose with single blanks, no trailing ones, at most one empty line, short rules."""
    # Looking for what a pattern needs is much cheaper than the pattern, and mostly finds nothing.
    text = prose.replace("\r\n", "\n")
    odd = "\t" in text or "\u00a0" in text
    if odd or "  " in text:
        text = _BLANKS.sub(" ", text)
    if odd or " \n" in text or text.endswith(" "):
        text = _TRAILING.sub("", text)
    if any(rule in text for rule in _RULES):
        text = _RULE.sub(r"\1\1\1", text)
    return _EMPTY_LINES.sub("\n\n", text) if "\n\n\n" in text else text


def pack_json(block: str) -> str:
    """A block of valid JSON without white space, its tables with their keys once."""
    tail = block[len(block.rstrip()) :]
    return _tabulate(_minify(block.strip())) + ("\n" if "\n" in tail else "")


def _minify(text: str) -> str:
    return "".join(_STRING_OR_MARKS.findall(text))


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


_DECODER = json.JSONDecoder(parse_int=_Number, parse_float=_Number, parse_constant=_Number)


def _tabulate(text: str) -> str:
    """Rows of equal keys as ``{"columns":[…],"rows":[[…],…]}``, wherever that is shorter."""
    try:
        value = _DECODER.decode(text)
        packed = _write(value)
    except (ValueError, RecursionError):
        return text
    return packed if len(packed) < len(text) else text


def _write(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return _quote(value)
    if kind is _Number:
        return str(value)
    if kind is dict:
        return (
            "{" + ",".join([f"{_quote(key)}:{_write(item)}" for key, item in value.items()]) + "}"
        )
    if kind is list:
        columns = _columns(value)
        if columns:
            rows = ",".join(
                ["[" + ",".join([_write(row[name]) for name in columns]) + "]" for row in value]
            )
            return f'{{"columns":[{",".join(map(_quote, columns))}],"rows":[{rows}]}}'
        return "[" + ",".join(map(_write, value)) + "]"
    return json.dumps(value)


def _columns(rows: list[Any]) -> tuple[str, ...]:
    """The keys that all rows share in one order; nothing if they are no table."""
    if len(rows) < _FEWEST_ROWS or not all(isinstance(row, dict) and row for row in rows):
        return ()
    keys = tuple(rows[0])
    return keys if all(tuple(row) == keys for row in rows) else ()


_quote = encode_basestring
"""A text as JSON, other than ASCII as it is."""

"""Layout without meaning: blanks in prose, white space in JSON, keys repeated in every row.

JSON is packed by its tokens, not by reading and writing it: ``1.50`` stays ``1.50``.
"""

from __future__ import annotations

import json
import re
from typing import Any

_STRING_OR_BLANK = re.compile(r'"(?:[^"\\]|\\.)*"|\s+', re.DOTALL)
_BLANKS = re.compile(r"(?<=\S)[ \t\u00a0]{2,}")
_TRAILING = re.compile(r"[ \t\u00a0]+(?=\n|\Z)")
_EMPTY_LINES = re.compile(r"\n{3,}")
_RULE = re.compile(r"([-=_*#~.])\1{5,}")
_FEWEST_ROWS = 3


def squeeze(prose: str) -> str:
    """Prose with single blanks, no trailing ones, at most one empty line, short rules."""
    text = _TRAILING.sub("", _BLANKS.sub(" ", prose.replace("\r\n", "\n")))
    return _EMPTY_LINES.sub("\n\n", _RULE.sub(r"\1\1\1", text))


def pack_json(block: str) -> str:
    """A block of valid JSON without white space, its tables with their keys once."""
    tail = block[len(block.rstrip()) :]
    return _tabulate(_minify(block.strip())) + ("\n" if "\n" in tail else "")


def _minify(text: str) -> str:
    return _STRING_OR_BLANK.sub(
        lambda match: match.group() if match.group()[0] == '"' else "", text
    )


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
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        items = (f"{_quote(key)}:{_write(item)}" for key, item in value.items())
        return "{" + ",".join(items) + "}"
    if isinstance(value, list):
        columns = _columns(value)
        if columns:
            rows = ",".join(
                "[" + ",".join(_write(row[name]) for name in columns) + "]" for row in value
            )
            return f'{{"columns":[{",".join(map(_quote, columns))}],"rows":[{rows}]}}'
        return "[" + ",".join(map(_write, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _columns(rows: list[Any]) -> tuple[str, ...]:
    """The keys that all rows share in one order; nothing if they are no table."""
    if len(rows) < _FEWEST_ROWS or not all(isinstance(row, dict) and row for row in rows):
        return ()
    keys = tuple(rows[0])
    return keys if all(tuple(row) == keys for row in rows) else ()


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

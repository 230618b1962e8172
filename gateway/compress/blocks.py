"""A prompt in blocks: prose that may be shortened, JSON that may be packed, code that may not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What may be done to a block."""

    PROSE = "prose"
    JSON = "json"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of a text; the blocks of a text joined are the text."""

    kind: Kind
    text: str


_START = re.compile(
    r"^(?P<fence>[ \t]*(?:```+|~~~+)).*$|^[ \t]*(?P<json>[\[{])|^(?: {4}|\t)\S", re.MULTILINE
)
_LINE_END = re.compile(r"[ \t]*(?:\n|\Z)")
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
_SHORTEST_JSON = 8
"""Characters: less is more likely prose in brackets."""


def split_blocks(text: str) -> Iterator[Block]:
    """The blocks of `text`, in order; adjacent prose is one block."""
    begun = position = 0
    while match := _START.search(text, position):
        end = _end(text, match)
        if end is None:
            position = match.end() if match.end() > position else position + 1
            continue
        if match.start() > begun:
            yield Block(Kind.PROSE, text[begun : match.start()])
        kind = Kind.JSON if match.group("json") else Kind.CODE
        yield Block(kind, text[match.start() : end])
        begun = position = end
    if begun < len(text):
        yield Block(Kind.PROSE, text[begun:])


def _end(text: str, match: re.Match[str]) -> int | None:
    """Where the block that starts at `match` ends; None if it is prose after all."""
    if match.group("fence"):
        mark = match.group("fence").strip()
        closing = re.compile(rf"^[ \t]*{re.escape(mark)}[ \t]*(?:\n|\Z)", re.MULTILINE)
        found = closing.search(text, match.end())
        return found.end() if found else len(text)
    if match.group("json"):
        return _json_end(text, match.start("json"))
    line = text.find("\n", match.start())
    return len(text) if line < 0 else line + 1


def _json_end(text: str, start: int) -> int | None:
    try:
        _, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    if end - start < _SHORTEST_JSON:
        return None
    closing = _LINE_END.match(text, end)
    return closing.end() if closing else None

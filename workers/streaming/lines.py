"""Lines of a stream of bytes, and samples from lines; what is wrong is said with its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

MAX_LINE = 65_536
"""Bytes; a longer line is skipped as it comes, never held."""
_BOM = b"\xef\xbb\xbf"
_SHOWN = 60


class BadLine(ValueError):
    """A line that cannot be used; the text says what is wrong with it."""


class Lines:
    """Cuts what arrives into lines; holds one unfinished line at most."""

    def __init__(self) -> None:
        self.number = 0
        self._rest = b""
        self._skips = False

    def split(self, data: bytes) -> Iterator[tuple[int, bytes | None]]:
        """Number and bytes of each line that is complete now; None for one that is too long."""
        parts = data.split(b"\n")
        parts[0] = self._rest + parts[0]
        rest = parts.pop()
        for part in parts:
            yield self._line(part)
        if self._skips:
            rest = b""
        elif len(rest) > MAX_LINE:
            rest, self._skips = b"", True
        self._rest = rest

    def finish(self) -> Iterator[tuple[int, bytes | None]]:
        """The last line, when no end of line follows it."""
        if self._rest or self._skips:
            yield self._line(self._rest)
            self._rest = b""

    def _line(self, part: bytes) -> tuple[int, bytes | None]:
        self.number += 1
        if self._skips or len(part) > MAX_LINE:
            self._skips = False
            return self.number, None
        if self.number == 1:
            part = part.removeprefix(_BOM)
        return self.number, part


def record(line: bytes | None) -> dict[str, Any]:
    """The JSON object of a line. Raises BadLine."""
    if line is None:
        raise BadLine(f"is longer than {MAX_LINE} bytes")
    try:
        value = _decode(line.decode())
    except UnicodeDecodeError as error:
        raise BadLine(f"is not text in UTF-8 (byte {error.start + 1})") from error
    except RecursionError as error:
        raise BadLine("is nested too deeply") from error
    except ValueError as error:
        raise BadLine(f"is not JSON: {error}") from error
    if type(value) is not dict:
        raise BadLine('is no JSON object, such as {"t": 1, "source": "a", "value": 2.5}')
    return value


def shorten(value: object) -> str:
    """Something from a line as it is quoted in a message."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no number that can be compared, leave the line out")


_decode = json.JSONDecoder(parse_constant=_refuse).decode

"""One sequence of bytes for each value of JSON, and different ones for different values.

Every text and every list is preceded by its length, so no separator can be smuggled in: ``["a",
"bc"]`` and ``["ab", "c"]`` differ whatever letters they hold. Numbers that are equal are encoded
alike (1 and 1.0); a truth value is not a number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from gateway.request import Json


class Unencodable(TypeError):
    """A value is not JSON, or nested too deeply to be looked at."""


def digest(value: Json) -> str:
    """SHA-256 of the encoded value, in hexadecimal. Raises Unencodable."""
    return hashlib.sha256(encode(value)).hexdigest()


def encode(value: Json) -> bytes:
    """The bytes of a value. Raises Unencodable."""
    pieces: list[bytes] = []
    try:
        _append(pieces, value)
    except RecursionError as error:
        raise Unencodable("the value is nested too deeply") from error
    return b"".join(pieces)


def _append(pieces: list[bytes], value: Json) -> None:
    if isinstance(value, str):
        pieces.append(_sized(b"s", value.encode("utf-8", "surrogatepass")))
    elif value is None or isinstance(value, bool):
        pieces.append({None: b"0", True: b"1", False: b"2"}[value])
    elif isinstance(value, int | float):
        whole = isinstance(value, float) and value.is_integer()
        pieces.append(_sized(b"n", repr(int(value) if whole else value).encode()))
    elif isinstance(value, list | tuple):
        pieces.append(b"l%d:" % len(value))
        for item in value:
            _append(pieces, item)
    elif isinstance(value, Mapping):
        pieces.append(b"m%d:" % len(value))
        for key in sorted(value):
            _append(pieces, key)
            _append(pieces, value[key])
    else:
        raise Unencodable(f"{type(value).__name__} is not a value of JSON")


def _sized(kind: bytes, content: bytes) -> bytes:
    return b"%s%d:%s" % (kind, len(content), content)

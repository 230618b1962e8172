"""One sequence of bytes for each value of JSON, and different ones for different values.

Every text and every list is preceded by its length, so no separator can be smuggled in: ``["a",
"bc"]`` and ``["ab", "c"]`` differ whatever letters they hold. Numbers that are equal are encoded
alike (1 and 1.0); a truth value is not a number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from gateway.request import Json


class Unencodable(TypeError):
    """A value is not JSON, or nested too deeply to be looked at."""


def digest(value: Json) -> str:
    """SHA-256 of the encoded value, in hexadecimal. Raises Unencodable."""
    return hashlib.sha256(encode(value)).hexdigest()


def encode(value: Json) -> bytes:
    """The bytes of a value. Raises Unencodable."""
    try:
        return b"".join(_pieces(value))
    except RecursionError as error:
        raise Unencodable("the value is nested too deeply") from error


def _pieces(value: Json) -> Iterator[bytes]:
    if value is None or isinstance(value, bool):
        yield {None: b"0", True: b"1", False: b"2"}[value]
    elif isinstance(value, str):
        yield _sized(b"s", value.encode("utf-8", "surrogatepass"))
    elif isinstance(value, int | float):
        whole = isinstance(value, float) and value.is_integer()
        yield _sized(b"n", repr(int(value) if whole else value).encode())
    elif isinstance(value, Mapping):
        yield b"m%d:" % len(value)
        for key in sorted(value):
            yield from _pieces(key)
            yield from _pieces(value[key])
    elif isinstance(value, list | tuple):
        yield b"l%d:" % len(value)
        for item in value:
            yield from _pieces(item)
    else:
        raise Unencodable(f"{type(value).__name__} is not a value of JSON")


def _sized(kind: bytes, content: bytes) -> bytes:
    return b"%s%d:%s" % (kind, len(content), content)

"""Request bodies as JSON, read strictly: what comes out can be stored and given back.

RFC 8259 allows values that a database, another parser or our own renderer would choke on later,
far from the caller who could mend them. They are refused here, with the reason.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from django.http import HttpRequest, UnreadablePostError
from rest_framework.exceptions import ParseError, UnsupportedMediaType

from ansf_platform.problems import ProblemError

MAX_BYTES = 32 * 1024 * 1024  # a bulk of 10 000 tasks of 3 kB
MAX_DEPTH = 64
MAX_DIGITS = 300  # an integer still converts to a float, which validators do

_LONG_DIGITS = re.compile(rb"[0-9]{%d}" % MAX_DIGITS)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
# A NUL and a lone surrogate can only come escaped: elsewhere the decoder refuses them.
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


def read(request: HttpRequest) -> bytes:
    """The body, at most :data:`MAX_BYTES` of it, of a request that says it is JSON.

    Raises :class:`ProblemError` 413 and UnsupportedMediaType.
    """
    content_type = request.content_type or ""
    try:
        raw = request.read(MAX_BYTES + 1)
    except UnreadablePostError as error:
        raise ParseError("the connection ended before the body was complete") from error
    if raw and content_type != "application/json":
        raise UnsupportedMediaType(content_type or "none", detail="send application/json")
    if len(raw) > MAX_BYTES:
        raise ProblemError(
            413, f"the body is larger than {MAX_BYTES} bytes: send it in several requests"
        )
    return bytes(raw)


def parse(raw: bytes) -> Any:
    """The value of a JSON text. Raises ParseError with the reason and the place."""
    _refuse_depth(raw)
    try:
        value = json.loads(
            raw.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_bounded if _long_digits(raw) else None,
        )
    except UnicodeDecodeError as error:
        raise ParseError(f"the body is not UTF-8: byte {error.start} cannot be read") from error
    except json.JSONDecodeError as error:
        raise ParseError(
            f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from error
    if _SUSPECT.search(raw):
        _refuse_unstorable(value)
    return value


def _long_digits(raw: bytes) -> bool:
    # One pass in C over the text; a call per integer would slow every bulk down.
    return len(raw) > MAX_DIGITS and _LONG_DIGITS.search(raw) is not None


def _bounded(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ParseError(f"an integer has more than {MAX_DIGITS} digits: send it as a string")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ParseError(f"the number {text[:20]} is out of range: send it as a string")
    return value


def _refuse_constant(name: str) -> Any:
    raise ParseError(f"{name} is not JSON: use null or a string")


def _refuse_depth(raw: bytes) -> None:
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return
    brackets = _STRING.sub(b"", raw).translate(None, _NOT_BRACKETS)
    if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > MAX_DEPTH:
        raise ParseError(f"the body is nested more than {MAX_DEPTH} levels deep")


def _refuse_unstorable(value: Any) -> None:
    for text in _texts(value):
        if "\x00" in text:
            raise ParseError("a string holds U+0000, which cannot be stored: leave it out")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ParseError(
                "a string holds half of a surrogate pair (\\ud800 to \\udfff)"
            ) from error


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for member in value.values():
            yield from _texts(member)
    elif isinstance(value, list):
        for member in value:
            yield from _texts(member)

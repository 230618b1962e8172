"""Metadata of patterns: small objects of JSON, bounded, storable in every database."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ansf_platform.field_errors import FieldError
from ansf_platform.text import is_storable
from patterns.errors import Invalid

MAX_BYTES = 8192
MAX_NAMES = 64
_SHORT = 80
_LONG = re.compile(r"\d{300}")
"""Such an integer may be beyond all floats; filters and other readers of JSON take floats."""


def checked(notes: Sequence[Any]) -> list[dict[str, Any]]:
    """The objects as plain JSON. Raises Invalid that names every wrong one by its index."""
    errors, good = [], []
    for index, note in enumerate(notes):
        message = _mistake(note)
        if message:
            errors.append(FieldError("/metadata", message, index))
        else:
            good.append(dict(note))
    if errors:
        raise Invalid(errors)
    return good


def _mistake(note: Any) -> str:
    if not isinstance(note, Mapping):
        return f"must be an object, not {type(note).__name__}"
    if len(note) > MAX_NAMES:
        return f"has {len(note)} names, at most {MAX_NAMES}"
    if not all(isinstance(name, str) for name in note):
        return "has a name that is no text"
    try:
        text = json.dumps(note, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        return f"is no JSON: {error}"[:_SHORT]
    return _mistake_in(text, note)


def _mistake_in(text: str, note: Mapping[str, Any]) -> str:
    if _LONG.search(text) and not _fits(note):
        return "holds a number beyond 1.8e308"
    # U+0000 is escaped in JSON: what the text holds says whether a database takes it.
    if not is_storable(text) or "\\u0000" in text:
        return "holds U+0000 or half of a surrogate pair"
    if len(text.encode()) > MAX_BYTES:
        return f"takes {len(text.encode())} bytes as JSON, at most {MAX_BYTES}"
    return ""


def _fits(value: Any) -> bool:
    """Whether every integer in it is a float, too."""
    if isinstance(value, Mapping):
        return all(_fits(one) for one in value.values())
    if isinstance(value, list | tuple):
        return all(_fits(one) for one in value)
    return not isinstance(value, int) or abs(value) <= sys.float_info.max

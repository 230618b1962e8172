"""Patterns in and out as NDJSON: one object a line, the vector as numbers that survive exactly.

``{"vector": [...], "metadata": {...}, "count": 3}``, or with ``"series"`` instead of the vector
on the way in. Import takes a thousand lines per transaction: what it has told of stays, and
after a mistake the message says the line to go on from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from patterns import memory
from patterns.errors import Invalid, PatternError, wrong
from patterns.models import Namespace, Pattern
from patterns.vectors import from_bytes

MAX_LINE_BYTES = 1024 * 1024
MAX_LINES = 1_000_000
_MEMBERS = frozenset({"vector", "series", "metadata", "count"})
_IGNORED = frozenset({"id", "namespace", "created_at", "updated_at"})  # what an export tells


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the lines."""

    lines: int
    new: int
    merged: int


def export(namespace: Namespace) -> Iterator[str]:
    """One line per pattern, by rising id; patterns added meanwhile may or may not be told."""
    last = 0
    while True:
        found = Pattern.objects.filter(namespace=namespace, removed=False, pk__gt=last)
        rows = list(found.order_by("pk")[: memory.MAX_ITEMS])
        if not rows:
            return
        last = rows[-1].pk
        for row in rows:
            vector = from_bytes(bytes(row.vector), namespace.dimension)[0]
            told = {
                "id": row.pk, "count": row.count, "metadata": row.metadata,
                "vector": vector.tolist(),
            }  # fmt: skip
            yield json.dumps(told, ensure_ascii=False)


def take_in(namespace: Namespace, lines: Iterable[bytes], told: Callable[[int], None]) -> Imported:
    """Add what the lines describe; `told` hears how many are committed. Raises Invalid."""
    numbered = enumerate(lines, start=1)
    done = new = merged = 0
    while batch := list(islice(numbered, memory.MAX_ITEMS)):
        if batch[-1][0] > MAX_LINES:
            raise wrong("", f"more than {MAX_LINES:,} lines: import in parts")
        items = [(number, _item(number, line)) for number, line in batch if line.strip()]
        if items:
            added = _add(namespace, items)
            new += sum(not one.merged for one in added)
            merged += sum(one.merged for one in added)
        done = batch[-1][0]
        told(done)
    return Imported(done, new, merged)


def _add(namespace: Namespace, items: list[tuple[int, memory.NewPattern]]) -> list[memory.Added]:
    first = items[0][0]
    try:
        return memory.add_many(namespace, [item for _, item in items])
    except Invalid as error:
        one = error.errors[0]
        line = items[one.index][0] if one.index is not None else first
        raise wrong(f"line {line}{one.field}", f"{one.message}; {_so_far(first)}") from error
    except PatternError as error:
        error.detail = f"{error.detail}; {_so_far(first)}"
        error.args = (error.detail,)
        raise


def _so_far(first: int) -> str:
    return f"lines before {first} are imported" if first > 1 else "nothing was imported"


def _item(number: int, line: bytes) -> memory.NewPattern:
    where = f"line {number}"
    if len(line) > MAX_LINE_BYTES:
        raise wrong(where, f"is longer than {MAX_LINE_BYTES:,} bytes")
    try:
        told: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise wrong(where, f"is not JSON: {error}") from error
    if not isinstance(told, dict):
        raise wrong(where, "is no object")
    unknown = sorted(set(told) - _MEMBERS - _IGNORED)
    if unknown:
        raise wrong(where, f"has the unknown member {unknown[0][:50]!r}")
    return memory.NewPattern(**{name: told[name] for name in _MEMBERS & set(told)})

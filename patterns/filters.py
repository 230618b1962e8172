"""Which patterns count, by their metadata: equality, membership, ranges, presence.

A filter is an object from names to what the value has to be::

    {"sensor": "a4", "site.room": {"in": [1, 2]}, "level": {"gte": 3, "lt": 9},
     "note": {"exists": false}}

All conditions must hold. A dot leads into an object. true is not 1, and "1" is neither; ranges
compare numbers with numbers and text with text (by code point, so ISO dates work). What is
asked is bounded, and each condition is one pass over a column, not a look at every object.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ansf_platform.field_errors import FieldError
from patterns.errors import Invalid, wrong

MAX_CONDITIONS = 8
MAX_MEMBERS = 256
MAX_STEPS = 4
MAX_KEY = 200
RANGES: Mapping[str, Callable[[Any, Any], Any]] = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}
WORDS = ("eq", "ne", "in", *RANGES, "exists")
_MISSING = object()

Scalar = str | int | float | bool | None
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Column:
    """One name's values: numbers (NaN: none), and for all others an index into `words`.

    `places` is -1 where the name is missing, -2 at a number and -3 at an object or a list.
    """

    numbers: NDArray[np.float64]
    places: NDArray[np.int32]
    words: tuple[Scalar, ...]

    @classmethod
    def of(cls, values: Sequence[Any]) -> Column:
        """The column of values as `find` gives them."""
        numbers = np.full(len(values), np.nan)
        places = np.empty(len(values), np.int32)
        words: dict[tuple[type, Scalar], int] = {}
        for row, value in enumerate(values):
            if value is _MISSING:
                places[row] = -1
            elif isinstance(value, dict | list):
                places[row] = -3
            elif isinstance(value, int | float) and not isinstance(value, bool):
                places[row] = -2
                numbers[row] = _float(value)
            else:
                places[row] = words.setdefault((type(value), value), len(words))
        return cls(numbers, places, tuple(value for _, value in words))

    def where(self, judge: Callable[[Scalar], bool]) -> Mask:
        """True where the judge accepts a value that is no number."""
        verdicts = np.array([judge(word) for word in self.words] + [False] * 3, np.bool_)
        return np.asarray(verdicts[self.places])


@dataclass(frozen=True, slots=True)
class Condition:
    """One name and what is asked of it."""

    key: str
    word: str
    wanted: Any

    def holds(self, column: Column) -> Mask:
        """True where the column's value is as asked."""
        match self.word:
            case "exists":
                return np.asarray((column.places != -1) == self.wanted)
            case "eq":
                return _equal(column, self.wanted)
            case "ne":
                return np.asarray(~_equal(column, self.wanted) & (column.places != -1))
            case "in":
                found: Mask = np.zeros(len(column.places), np.bool_)
                for one in self.wanted:
                    found |= _equal(column, one)
                return found
        compare = RANGES[self.word]
        if isinstance(self.wanted, str):
            return column.where(lambda word: isinstance(word, str) and compare(word, self.wanted))
        return np.asarray(compare(column.numbers, float(self.wanted)))


def _float(value: float) -> float:
    """The number; infinite where it is an integer beyond all floats."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _equal(column: Column, wanted: Scalar) -> Mask:
    if isinstance(wanted, int | float) and not isinstance(wanted, bool):
        return np.asarray(column.numbers == float(wanted))
    return column.where(lambda word: type(word) is type(wanted) and word == wanted)


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions that must all hold; none of them accepts everything."""

    conditions: tuple[Condition, ...] = ()

    def mask(self, count: int, column: Callable[[str], Column]) -> Mask:
        """Which of `count` rows pass, given the column of each name."""
        passing = np.ones(count, np.bool_)
        for condition in self.conditions:
            passing &= condition.holds(column(condition.key))
        return passing


def parse(asked: Mapping[str, Any] | None) -> Filter:
    """The filter that an object describes. Raises Invalid that names every mistake."""
    if asked is None:
        return Filter()
    if not isinstance(asked, Mapping):
        raise wrong("/filter", f"must be an object, not {type(asked).__name__}")
    conditions: list[Condition] = []
    errors: list[FieldError] = []
    for key, wanted in asked.items():
        try:
            conditions += _conditions(str(key), wanted)
        except Invalid as error:
            errors += error.errors
    if len(conditions) > MAX_CONDITIONS:
        raise wrong("/filter", f"has {len(conditions)} conditions, at most {MAX_CONDITIONS}")
    if errors:
        raise Invalid(errors)
    return Filter(tuple(conditions))


def _conditions(key: str, wanted: Any) -> list[Condition]:
    where = f"/filter/{key[:50]}"
    if not key or len(key) > MAX_KEY or key.count(".") >= MAX_STEPS:
        raise wrong(where, f"names have 1 to {MAX_KEY} characters and at most {MAX_STEPS} steps")
    if not isinstance(wanted, Mapping):
        return [Condition(key, "eq", _scalar(where, wanted))]
    if not wanted:
        raise wrong(where, f"asks nothing: use {', '.join(WORDS)}")
    return [Condition(key, word, _wanted(where, word, value)) for word, value in wanted.items()]


def _wanted(where: str, word: str, value: Any) -> Any:
    if word in RANGES:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise wrong(where, f"{word} compares with a number or a text")
        return _scalar(where, value)
    if word == "in":
        if not isinstance(value, list | tuple) or not 0 < len(value) <= MAX_MEMBERS:
            raise wrong(where, f"in takes a list of 1 to {MAX_MEMBERS} values")
        return tuple(_scalar(where, one) for one in value)
    if word == "exists":
        if not isinstance(value, bool):
            raise wrong(where, "exists takes true or false")
        return value
    if word in {"eq", "ne"}:
        return _scalar(where, value)
    raise wrong(where, f"{word!r} is not known: use {', '.join(WORDS)}")


def _scalar(where: str, value: Any) -> Scalar:
    if not isinstance(value, str | int | float | bool | None):
        raise wrong(where, "compares with a text, a number, true, false or null")
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            finite = math.isfinite(float(value))
        except OverflowError:
            finite = False
        if not finite:
            raise wrong(where, "compares with finite numbers only")
    return value


def find(metadata: Mapping[str, Any], key: str) -> Any:
    """The value under a dotted name, or what :meth:`Column.of` takes for missing."""
    value: Any = metadata
    for step in key.split("."):
        if not isinstance(value, dict) or step not in value:
            return _MISSING
        value = value[step]
    return value

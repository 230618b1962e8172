"""How much is allowed: `limit` units per `period_us` microseconds, at most `burst` at once.

A bucket that has not been used for long holds `burst` units and refills at exactly
`limit / period_us`: the rate is kept as a reduced fraction, never as a float.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import gcd

SECOND_US = 1_000_000
# Bounds that keep every number of the scripts below 2^53, where a double is still an integer.
MOST_LIMIT = 10**12
MOST_BURST = 10**12
LONGEST_PERIOD_US = LONGEST_FILL_US = 10 * 366 * 86_400 * SECOND_US
MOST_PARTS = 2**52


@dataclass(frozen=True, slots=True)
class Quota:
    """`limit` units in `period_us`, and `burst` units at once. Raises ValueError with the field."""

    limit: int
    period_us: int
    burst: int
    units: int = field(init=False, repr=False, compare=False)
    """The rate, reduced, is `units` per `micros`."""
    micros: int = field(init=False, repr=False, compare=False)
    full: int = field(init=False, repr=False, compare=False)
    """The burst in parts of 1/units µs: the time it takes to refill."""

    def __post_init__(self) -> None:
        _within("limit", self.limit, MOST_LIMIT)
        _within("period_us", self.period_us, LONGEST_PERIOD_US)
        _within("burst", self.burst, MOST_BURST)
        shared = gcd(self.limit, self.period_us)
        object.__setattr__(self, "units", self.limit // shared)
        object.__setattr__(self, "micros", self.period_us // shared)
        object.__setattr__(self, "full", self.burst * self.micros)
        if self.full > LONGEST_FILL_US * self.units:
            raise ValueError(
                f"burst: {self.burst} units would take more than ten years to refill; "
                "raise the limit or lower the burst"
            )
        if self.burst * self.units > MOST_PARTS:
            raise ValueError(
                f"burst: {self.burst} with a limit of {self.limit} in {self.period_us} µs is too "
                "fine to count exactly; lower one of them or round the limit"
            )

    @property
    def rate(self) -> Fraction:
        """Units per second, exactly."""
        return Fraction(self.units * SECOND_US, self.micros)

    @classmethod
    def per_second(cls, limit: int, burst: int, seconds: float = 1.0) -> Quota:
        """`limit` units in `seconds`, rounded to whole microseconds."""
        return cls(limit, round(seconds * SECOND_US), burst)


def _within(name: str, value: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name}: {value!r} is not a whole number")  # noqa: TRY004 - one kind
    if not 1 <= value <= most:
        raise ValueError(f"{name}: {value} is not between 1 and {most}")

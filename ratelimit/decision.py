"""What a limiter answers: values without a connection, safe to keep, compare and print.

`BucketState` and `Decision` are named tuples and not frozen dataclasses because one of each is
made for every decision: a frozen dataclass takes three times as long to make, which was a tenth
of the decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from ratelimit.buckets import Bucket


class BucketState(NamedTuple):
    """One bucket after a decision; seconds count from that moment, by the server's clock."""

    name: str
    remaining: int
    """Whole units left; below zero after a settlement above its estimate."""
    reset_after: float
    """Seconds until it is full again."""
    retry_after: float | None = None
    """Seconds until what was asked for fits; None when it fits now, or never."""
    never: bool = False
    """More was asked for than the burst holds."""
    shadow: bool = False
    """Counts, never denies."""
    limit: int = 0
    """Units per period."""

    @property
    def short(self) -> bool:
        """Whether this bucket had less than what was asked for."""
        return self.never or self.retry_after is not None


class Decision(NamedTuple):
    """Whether all buckets together allow it. All were charged, or none."""

    allowed: bool
    remaining: int
    """Of the bucket that has least left."""
    limit: int
    """That bucket's limit per period."""
    retry_after: float | None
    """Seconds until it would be allowed; None when it is, or never will be."""
    reset_after: float
    """Seconds until the last of the buckets is full again."""
    violated: tuple[str, ...] = ()
    """Names of the policies that deny, without shadows."""
    degraded: bool = False
    """Decided without Redis."""
    never: bool = False
    """The cost exceeds a burst: waiting does not help."""
    wait: float = 0.0
    """Seconds from the decision to the time slot it was given (`wait` mode)."""
    per_bucket: tuple[BucketState, ...] = ()
    """In the order of the buckets that were asked."""


@dataclass(frozen=True, slots=True)
class Grant:
    """As many whole units as fitted, already charged."""

    granted: int
    retry_after: float | None
    """Seconds until one more unit fits; None when all that was asked for was granted."""
    degraded: bool = False
    shadowed: int = 0
    """Those of the granted that were not there: a shadow charges what it has, and grants all."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """An estimate that was charged and waits to be settled; `id` alone is enough to settle it."""

    id: str
    decision: Decision
    buckets: tuple[Bucket, ...]
    estimate: int

    @property
    def allowed(self) -> bool:
        """Whether it was charged at all."""
        return self.decision.allowed

    @property
    def charged(self) -> tuple[Bucket, ...]:
        """Those of the buckets that were charged."""
        return charged_of(self.buckets, self.decision)


def charged_of(buckets: Sequence[Bucket], decision: Decision) -> tuple[Bucket, ...]:
    """Those of a decision's buckets that it charged: a shadow that was short was not."""
    if not decision.allowed:
        return ()
    states = decision.per_bucket
    if not any(state.shadow for state in states):
        return tuple(buckets)
    pairs = zip(buckets, states, strict=True)
    return tuple(bucket for bucket, state in pairs if not (state.shadow and state.short))


UNLIMITED = Decision(True, 0, 0, None, 0.0)  # what no bucket allows or denies

_least = attrgetter("remaining")


def combine(
    states: tuple[BucketState, ...], *, allowed: bool, degraded: bool = False, wait: float = 0.0
) -> Decision:
    """One decision from the states of its buckets; `allowed` is what was done."""
    if not states:
        return UNLIMITED._replace(degraded=degraded)
    binding = [state for state in states if not state.shadow] or list(states)
    tightest = min(binding, key=_least)
    short = [] if allowed else [state for state in binding if state.short]
    never = any(state.never for state in short)
    waits = [state.retry_after for state in short if state.retry_after is not None]
    return Decision(
        allowed=allowed,
        remaining=tightest.remaining,
        limit=tightest.limit,
        retry_after=None if never or not waits else max(waits),
        reset_after=max(state.reset_after for state in states),
        violated=tuple(state.name for state in short),
        degraded=degraded,
        never=never,
        wait=wait,
        per_bucket=states,
    )

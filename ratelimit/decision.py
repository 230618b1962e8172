"""What a limiter answers: values without a connection, safe to keep, compare and print."""

from __future__ import annotations

from dataclasses import dataclass

from ratelimit.buckets import Bucket


@dataclass(frozen=True, slots=True)
class BucketState:
    """One bucket after a decision; seconds are from that moment on, by the server's clock."""

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
    limit: int = 0

    @property
    def short(self) -> bool:
        """Whether this bucket had less than what was asked for."""
        return self.never or self.retry_after is not None


@dataclass(frozen=True, slots=True)
class Decision:
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


@dataclass(frozen=True, slots=True)
class Grant:
    """As many whole units as fitted, already charged."""

    granted: int
    retry_after: float | None
    """Seconds until one more unit fits; None when all that was asked for was granted."""
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class Reservation:
    """An estimate that was charged and waits to be settled; `id` alone is enough to settle it."""

    id: str
    decision: Decision
    buckets: tuple[Bucket, ...]
    estimate: int

    @property
    def allowed(self) -> bool:
        return self.decision.allowed


def combine(
    states: tuple[BucketState, ...], *, allowed: bool, degraded: bool = False, wait: float = 0.0
) -> Decision:
    """One decision from the states of its buckets; `allowed` is what was done."""
    if not states:
        return Decision(True, 0, 0, None, 0.0, degraded=degraded)
    binding = [state for state in states if not state.shadow] or list(states)
    tightest = min(binding, key=_remaining)
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


def _remaining(state: BucketState) -> int:
    return state.remaining

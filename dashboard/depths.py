"""What waits, as bars: one per pool, one band per priority."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coordination.models import Pool
from coordination.selectors import COUNT_BOUND, QueueDepth


@dataclass(frozen=True, slots=True)
class Band:
    """The share of one priority in a bar; offsets and widths in percent of its full length."""

    priority: int
    ready: int
    offset: float
    width: float


@dataclass(frozen=True, slots=True)
class PoolDepth:
    """What waits for one class of workers."""

    pool: str
    ready: int
    bounded: bool
    """Counting stopped at a bound: the numbers are at least that."""
    dispatched: int
    oldest_seconds: float | None
    bands: tuple[Band, ...]
    rows: tuple[QueueDepth, ...]


def pool_depths(depths: Sequence[QueueDepth]) -> list[PoolDepth]:
    """Both pools, most urgent priority first; bars are as long as their share of the longest."""
    by_pool = {pool: [d for d in depths if d.pool == pool] for pool in Pool.values}
    longest = max((sum(d.ready for d in rows) for rows in by_pool.values()), default=0)
    return [_pool(pool, rows, longest) for pool, rows in by_pool.items()]


def _pool(pool: str, depths: Sequence[QueueDepth], longest: int) -> PoolDepth:
    rows = sorted(depths, key=lambda depth: -depth.priority)
    ready = sum(depth.ready for depth in rows)
    ages = [d.oldest_ready_seconds for d in rows if d.oldest_ready_seconds is not None]
    bands, offset = [], 0.0
    for depth in rows:
        if depth.ready:
            width = 100.0 * depth.ready / longest
            bands.append(Band(depth.priority, depth.ready, round(offset, 3), round(width, 3)))
            offset += width
    return PoolDepth(
        pool,
        ready,
        ready >= COUNT_BOUND,
        sum(depth.dispatched for depth in rows),
        max(ages, default=None),
        tuple(bands),
        tuple(rows),
    )

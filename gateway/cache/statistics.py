"""What the cache did lately and what it holds: for the command, the REST API and the page."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from gateway.cache.connection import Connection
from gateway.cache.keys import Partition
from gateway.cache.misses import BINS
from gateway.request import HitLevel
from ratelimit.scripts import plain

HOURS_KEPT = 8 * 24
_HOUR_S = 3600
_MOST_SHADOWS = 100
LEVELS = tuple(level.value for level in HitLevel if level is not HitLevel.NONE)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of a window of whole hours, and sizes now; money in nano-dollars."""

    hours: int
    requests: int
    hits: dict[str, int]
    misses: int
    hit_rate: float | None
    """Hits ÷ requests; None without requests."""
    saved_nanodollars: int
    stored: int
    evicted: int
    refused: dict[str, int]
    """Answers that might have been kept, by reason: void, fenced, older, flushed, size."""
    voided: int
    shadow: dict[str, int]
    """What shadow mode would have served, by level."""
    reports: dict[str, int]
    scores: list[int]
    """Best similar entry of each miss, by twentieths of the score."""
    entries: int
    bytes: int
    generation: str
    """Changes when Redis was flushed."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def statistics(connection: Connection, partition: Partition, hours: int = 24) -> Statistics:
    """Counts of the last `hours` hours, the running one included. Raises Away."""
    root = partition.root
    now = int(time.time()) // _HOUR_S
    hours = max(1, min(hours, HOURS_KEPT))
    replies = connection.ask_many(
        [
            plain(f"{root}meta", "HGETALL", f"{root}meta"),
            plain(f"{root}sizes", "HLEN", f"{root}sizes"),
            *[
                plain(f"{root}c:{hour}", "HGETALL", f"{root}c:{hour}")
                for hour in range(now - hours + 1, now + 1)
            ],
        ]
    )
    meta = _fields(replies[0])
    counts: Counter[str] = Counter()
    for reply in replies[2:]:
        counts.update({name: int(value) for name, value in _fields(reply).items()})
    return _made(hours, counts, meta, int(replies[1]))


def shadowed(connection: Connection, partition: Partition) -> list[dict[str, Any]]:
    """The newest similar hits that shadow mode did not serve. Raises Away."""
    key = partition.root + "shadow"
    replies = connection.ask_many([plain(key, "LRANGE", key, "0", str(_MOST_SHADOWS - 1))])
    return [json.loads(line) for line in replies[0]]


def _made(hours: int, counts: Counter[str], meta: dict[str, str], entries: int) -> Statistics:
    hits = {level: counts[f"hit_{level}"] for level in LEVELS}
    requests = counts["requests"]
    return Statistics(
        hours=hours,
        requests=requests,
        hits=hits,
        misses=counts["misses"],
        hit_rate=sum(hits.values()) / requests if requests else None,
        saved_nanodollars=counts["saved_nanodollars"],
        stored=counts["stored"],
        evicted=counts["evicted"],
        refused=_named(counts, "refused_"),
        voided=counts["voided"],
        shadow=_named(counts, "shadow_"),
        reports={
            name: counts[key]
            for name, key in (
                ("right", "reported_right"),
                ("wrong", "reported_wrong"),
                ("quarantined", "quarantined"),
            )
        },
        scores=[counts[f"score_{number:02d}"] for number in range(BINS)],
        entries=entries,
        bytes=int(meta.get("bytes", 0)),
        generation=meta.get("generation", ""),
    )


def _named(counts: Counter[str], prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): number
        for name, number in sorted(counts.items())
        if name.startswith(prefix)
    }


def _fields(reply: Any) -> dict[str, str]:
    if isinstance(reply, dict):  # RESP 3
        return {key.decode(): value.decode() for key, value in reply.items()}
    names = [value.decode() for value in reply]
    return dict(zip(names[::2], names[1::2], strict=True))

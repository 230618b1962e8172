"""The script calls of one limiter: which keys and arguments each takes.

Charges are cached: the same buckets at the same cost are the same bytes (`charge` for all or
none, `take` for as many units as fit).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

from ratelimit import level
from ratelimit.buckets import Bucket
from ratelimit.decision import UNLIMITED, Reservation
from ratelimit.keys import Keys
from ratelimit.quota import Quota
from ratelimit.scripts import Command, Scripts, plain

MOST_BUCKETS = 100
"""In one decision: they are charged together, and everybody else waits meanwhile."""
_PORTION = 250  # levels looked at in one call
_CACHED = 2048  # charges; each is about a kilobyte
Shard = tuple[Bucket, ...]


class Calls:
    """Builds commands. Raises ValueError for a cost or a bucket that cannot be charged."""

    def __init__(self, keys: Keys, scripts: Scripts) -> None:
        self.keys = keys
        self.scripts = scripts
        self.charge = lru_cache(maxsize=_CACHED)(self._charge)
        self._taking = lru_cache(maxsize=_CACHED)(self._take)

    def shards(self, buckets: Sequence[Bucket]) -> list[Shard]:
        """Buckets that live together, those of a tenant before those that all share."""
        if not self.keys.shard_by:
            return [tuple(buckets)]
        by_tag: dict[str, list[Bucket]] = {}
        for bucket in sorted(buckets, key=lambda bucket: not bucket.tenant):
            by_tag.setdefault(self.keys.tag(bucket), []).append(bucket)
        return [tuple(shard) for shard in by_tag.values()] or [()]

    def take(self, bucket: Bucket, at_most: int) -> Command:
        """As many units as fit; a wish beyond the burst is one for the burst."""
        return self._taking(bucket, min(level.checked_units(at_most), bucket.quota.burst))

    def _take(self, bucket: Bucket, at_most: int) -> Command:
        _spendable(bucket)
        texts = level.take_texts(bucket.quota, at_most)
        left = partial(level.left_of_grant, bucket)
        return Command(self.scripts.take, (self.keys.of("level", bucket),), texts, left=left)

    def looked_at_together(self, buckets: Sequence[Bucket]) -> list[Shard]:
        """Shards of one kind each, levels or slots, in portions that answer quickly."""
        parts = [
            [bucket for bucket in buckets if (bucket.unit == "concurrency") is held]
            for held in (False, True)
        ]
        shards = [shard for part in parts if part for shard in self.shards(part)]
        return [
            shard[start : start + _PORTION]
            for shard in shards
            for start in range(0, len(shard), _PORTION)
        ]

    def look(self, buckets: Shard) -> Command:
        """The levels, or the places that are held."""
        if buckets[0].unit == "concurrency":
            return self.slot("look", buckets, "", 0)
        texts = [text for bucket in buckets for text in level.rate_texts(bucket.quota)]
        return Command(self.scripts.peek, self._levels(buckets), tuple(texts))

    def adjust(self, buckets: Shard, units: int, reservation: str = "") -> Command:
        """Charge or give back; with a reservation, only if it was not settled before."""
        texts: list[str] = []
        for bucket in buckets:
            texts += level.adjust_texts(bucket.quota, level.checked_debt(units, bucket.quota))
        guard = (self._record(reservation),) if reservation else ()
        names = self._levels(buckets) + guard
        # A reservation's record says whether it was settled; a plain refund would be made twice.
        return Command(self.scripts.adjust, names, tuple(texts), once=units < 0 and not guard)

    def reset(self, bucket: Bucket) -> tuple[Command, Command]:
        """Forget the level and the holders of slots."""
        names = (self.keys.of("level", bucket), self.keys.of("slots", bucket))
        return (plain(names[0], "DEL", names[0]), plain(names[1], "DEL", names[1]))

    def slot(self, verb: str, buckets: Shard, holder: str, life_us: int) -> Command:
        """Enter, keep or leave a place in every bucket."""
        names = tuple(self.keys.of("slots", bucket) for bucket in buckets)
        places = tuple("-1" if bucket.shadow else str(bucket.quota.limit) for bucket in buckets)
        return Command(self.scripts.slot, names, (verb, holder, str(life_us), *places))

    # --- reservations -----------------------------------------------------------------------
    def new_reservation(self, buckets: Sequence[Bucket]) -> str:
        """An id that says where its record lives: with the shard that is charged last."""
        last = self.shards(buckets)[-1]
        return f"{self.keys.tag(last[-1]) if last else 'ansf'}.{uuid.uuid4().hex}"

    def recorded(
        self, charge: Command, reservation: str, buckets: Sequence[Bucket], cost: int, life_s: float
    ) -> Command:
        """The charge together with the record of a reservation."""
        record = json.dumps([cost, [_facts(bucket) for bucket in buckets]])
        life_ms = str(max(1, int(life_s * 1000)))
        names = (*charge.keys, self._record(reservation))
        return Command(charge.script, names, (*charge.args, record, life_ms), left=charge.left)

    def find(self, reservation: str) -> Command:
        """The record of a reservation."""
        name = self._record(reservation)
        return plain(name, "GET", name)

    def reservation_of(self, identity: str, record: bytes | str) -> Reservation:
        """The reservation that a record tells of."""
        text = str(record, "utf-8") if isinstance(record, bytes) else record
        cost, facts = json.loads(text[: text.rindex("]") + 1])  # acquire.lua wrote behind it
        return Reservation(identity, UNLIMITED, tuple(map(_bucket, facts)), cost)

    def _record(self, reservation: str) -> str:
        tag, _, identity = reservation.rpartition(".")
        return self.keys.named("reservation", tag or "ansf", identity)

    def _charge(self, buckets: Shard, cost: int, patience_us: int) -> Command:
        if len(buckets) > MOST_BUCKETS:
            raise ValueError(f"buckets: {len(buckets)} in one decision, at most {MOST_BUCKETS}")
        level.checked_units(cost)
        texts: list[str] = []
        for bucket in buckets:
            _spendable(bucket)
            texts += level.charge_texts(bucket.quota, cost, patience_us, shadow=bucket.shadow)
        left = partial(level.left_of_charge, buckets, cost) if cost else None
        return Command(self.scripts.acquire, self._levels(buckets), tuple(texts), left=left)

    def _levels(self, buckets: Shard) -> tuple[str, ...]:
        return tuple([self.keys.of("level", bucket) for bucket in buckets])


def _spendable(bucket: Bucket) -> None:
    if bucket.unit == "concurrency":
        raise ValueError(f"{bucket.name}: places are held, not spent; use slot()")


def _facts(bucket: Bucket) -> list[Any]:
    quota = bucket.quota
    return [bucket.name, bucket.key, bucket.tenant, quota.limit, quota.period_us, quota.burst]


def _bucket(facts: Sequence[Any]) -> Bucket:
    name, key, tenant, *quota = facts
    return Bucket(name, key, Quota(*quota), tenant=tenant)

"""Which limited tasks may start: the policies' keys, looked at once a cycle, charged in one call.

A key that has nothing left *rests* until it has: its tasks are left out of the cycle without a
look at them or at Redis, and nothing is written for them. What a policy counts:

* ``requests``: starts. Each dispatch takes a unit, that of a retry or a replay as well;
* ``concurrency``: tasks in flight, counted from the rows, so nothing can leak;
* ``tokens``, ``cost``: nothing here. Whoever knows the amount charges it (a handler, the
  gateway); the dispatcher only holds tasks back while there is none left.

``wait`` leaves tasks `ready`; ``shed`` cancels what cannot start at once (reason ``limited``),
though not for want of Redis; ``reject`` is judged at submission (:mod:`coordination.admission`).
Units taken by a leader that dies before it has marked its picks are lost: never too many start.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from coordination import sql
from coordination.allowances import UNBOUNDED, Key, KeyGate, Ledger, Need, cut_to
from coordination.fairness import Parcel
from coordination.subjects import Pair, Subjects
from ratelimit import pool
from ratelimit.buckets import Bucket
from ratelimit.decision import BucketState
from ratelimit.limiter import Limiter

PACE_SECONDS = 0.035  # between two looks at a key that is in use: a few units at once
SHORTEST_PACE_SECONDS = 0.002
MOST_KEYS = 50_000  # remembered
REST_SECONDS = 0.25  # a key is looked at again by then: its policy or its level may be set anew


def key_of(bucket: Bucket) -> Key:
    """What names a bucket here."""
    return bucket.name, bucket.key


@dataclass(slots=True)
class Round:
    """One cycle's gates, and the buckets behind their keys."""

    gates: dict[Pair, KeyGate] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    buckets: dict[Key, Bucket] = field(default_factory=dict)
    uncharged: Counter[Key] = field(default_factory=Counter)
    """Units that a shadow granted and did not have: there is nothing of them to give back."""
    free_for: dict[Key, float] = field(default_factory=dict)
    """Seconds for which a key has had units that nobody took."""

    def held(self, pair: Pair, waited: float) -> float:
        """How much of a task's wait was for its policies."""
        gate = self.gates.get(pair)
        if gate is None:
            return 0.0
        free = min((self.free_for.get(key, waited) for key in gate.need.keys), default=waited)
        return max(0.0, waited - free)

    @property
    def needs(self) -> dict[Pair, Need]:
        """The keys behind each gate."""
        return {pair: gate.need for pair, gate in self.gates.items()}

    def most(self, pair: Pair) -> int:
        """How many tasks of a limit set may start now."""
        gate = self.gates.get(pair)
        return UNBOUNDED if gate is None else gate.most

    def holds(self, parcel: Parcel) -> bool:
        """Whether a policy has a say in this parcel's tasks."""
        return (parcel.swarm_id, parcel.members[0].limit_set) in self.gates

    def counted(self, keys: Iterable[Key]) -> list[Key]:
        """Those of the keys whose buckets a start takes a unit of."""
        return [key for key in keys if self.buckets[key].unit == "requests"]


@dataclass(slots=True)
class Limits:
    """The leader's view of all keys; keeps only what it may lose: which of them rest."""

    limiter: Limiter = field(default_factory=lambda: pool.limiter())  # noqa: PLW0108 - tests put another there
    subjects: Subjects = field(default_factory=Subjects)
    _rests_until: dict[Key, float] = field(default_factory=dict)
    _full_at: dict[Key, float] = field(default_factory=dict)
    _free_since: dict[Key, float] = field(default_factory=dict)
    waiting: set[Pair] = field(default_factory=set)
    """Limited sets that had ready tasks in this cycle."""

    def __post_init__(self) -> None:
        self.limiter.connect()  # not in a cycle

    def awake(self, groups: Sequence[sql.Row]) -> list[sql.Row]:
        """The groups without those that wait for a key that rests."""
        pairs = {(group["swarm_id"], group["limit_set"]) for group in groups}
        self.subjects.refresh(pairs)
        self.waiting = {pair for pair in pairs if self.subjects.is_limited(pair)}
        if not self.waiting:
            return list(groups)
        now = time.monotonic()
        resting = {pair for pair in self.waiting if self._rest_of(pair) > now}
        return [g for g in groups if (g["swarm_id"], g["limit_set"]) not in resting]

    def _rest_of(self, pair: Pair) -> float:
        """When the last of the set's keys ends its rest."""
        need = self.subjects.need(pair)
        until = max((self._rests_until.get(key, 0.0) for key in need.keys), default=0.0)
        ends = [max(self._rests_until.get(key, 0.0) for key in keys)
                for keys in need.of_agent.values()]  # fmt: skip
        return max(until, min(ends, default=0.0))

    @property
    def next_in(self) -> float:
        """Seconds until a key with waiting tasks ends its rest."""
        now = time.monotonic()
        ends = [end - now for pair in self.waiting if (end := self._rest_of(pair)) > now]
        return min(ends, default=REST_SECONDS)

    def look(self, groups: Iterable[sql.Row], flight: Iterable[sql.Row]) -> Round:
        """Gates for these groups: one call tells the levels of all their keys."""
        pairs = {(group["swarm_id"], group["limit_set"]) for group in groups} & self.waiting
        found = Round()
        if not pairs:
            return found
        if len(self._full_at) > MOST_KEYS:  # all it costs is one more look at each
            for kept in (self._full_at, self._rests_until, self._free_since):
                kept.clear()
        for pair in pairs:
            need = self.subjects.need(pair)
            found.gates[pair] = KeyGate(need, found.ledger)
            for key in {*need.keys, *(key for keys in need.of_agent.values() for key in keys)}:
                found.buckets[key] = self.subjects.bucket(key)
        slots = {k: b for k, b in found.buckets.items() if b.unit == "concurrency"}
        if slots:
            running = self._in_flight(flight)
            for key, bucket in slots.items():
                free = bucket.quota.limit - running[key]
                found.ledger.left[key] = UNBOUNDED if bucket.shadow else free
        asked = [bucket for key, bucket in found.buckets.items() if key not in slots]
        for bucket, state in zip(asked, self._peek(asked), strict=True):
            self._note(found, bucket, state)
        return found

    def _peek(self, buckets: Sequence[Bucket]) -> Sequence[BucketState]:
        return self.limiter.peek_many(buckets) if buckets else ()

    def _note(self, found: Round, bucket: Bucket, state: BucketState) -> None:
        key, now = key_of(bucket), time.monotonic()
        self._full_at[key] = now + state.reset_after
        left = state.remaining
        allowed = self.limiter.degraded and bucket.without_redis == "allow"
        if bucket.shadow or allowed or (bucket.unit != "requests" and left > 0):
            left = UNBOUNDED
        found.ledger.left[key] = left
        if left <= 0:
            self._rest(bucket, state.retry_after)
        found.free_for[key] = now - self._free_since.setdefault(key, now)

    def _rest(self, bucket: Bucket, retry_after: float | None = None) -> None:
        """Leave a key alone until a unit is there, or a few of one that fills fast."""
        key, now = key_of(bucket), time.monotonic()
        rate, burst = float(bucket.quota.rate), bucket.quota.burst
        pace = max(SHORTEST_PACE_SECONDS, min(PACE_SECONDS, burst / rate / 2))
        until = self._full_at.get(key, now) - (burst - 1) / rate
        if retry_after is not None:
            until = now + retry_after
        self._rests_until[key] = min(max(until, now + pace), now + REST_SECONDS)
        self._free_since.pop(key, None)

    def _in_flight(self, flight: Iterable[sql.Row]) -> Counter[Key]:
        """Tasks that are dispatched or running, by key; of all limit sets that share it."""
        rows = list(flight)
        self.subjects.refresh({(row["swarm_id"], row["limit_set"]) for row in rows})
        running: Counter[Key] = Counter()
        for row in rows:
            need = self.subjects.need((row["swarm_id"], row["limit_set"]))
            for key in need.all_of(row["agent_id"]):
                running[key] += row["tasks"]
        return running

    def take(self, found: Round, parcels: Sequence[Parcel]) -> list[Parcel]:
        """Charge what the parcels need, in one call; the parcels less what was not granted."""
        wanted: Counter[Key] = Counter()
        for parcel in parcels:
            wanted.update(self._units(found, parcel, len(parcel.members)))
        if not wanted:
            return list(parcels)
        asked = [(found.buckets[key], count) for key, count in wanted.items()]
        grants = self.limiter.take_many(asked)
        granted: dict[Key, int] = {}
        for (bucket, count), grant in zip(asked, grants, strict=True):
            key = key_of(bucket)
            self._full_at[key] = self._full_at.get(key, 0.0) + count / float(bucket.quota.rate)
            self._free_since.pop(key, None)
            found.uncharged[key] += grant.shadowed
            if not bucket.shadow:
                granted[key] = grant.granted
                if grant.granted < count or found.ledger.left[key] <= 0:
                    found.ledger.left[key] = 0
                    self._rest(bucket, grant.retry_after)
        if all(granted[key] >= wanted[key] for key in granted):
            return list(parcels)
        kept, over = cut_to(parcels, found.needs, granted)
        self._refund(found, over)
        return kept

    def _units(self, found: Round, parcel: Parcel, count: int) -> Counter[Key]:
        gate = found.gates.get((parcel.swarm_id, parcel.members[0].limit_set))
        if gate is None:
            return Counter()
        return Counter(dict.fromkeys(found.counted(gate.need.all_of(parcel.agent_id)), count))

    def give_back(self, found: Round, unused: Iterable[tuple[Parcel, int]]) -> None:
        """Return the units of so many members of each parcel: they were not marked."""
        over: Counter[Key] = Counter()
        for parcel, count in unused:
            over.update(self._units(found, parcel, count))
        self._refund(found, over)

    def _refund(self, found: Round, over: Mapping[Key, int]) -> None:
        changes = []
        for key, count in over.items():
            uncharged = min(count, found.uncharged[key])
            found.uncharged[key] -= uncharged
            if count > uncharged:
                changes.append((found.buckets[key], count - uncharged))
        if changes:
            self.limiter.refund_many(changes)

    def shed(self, found: Round) -> list[Pair]:
        """The limit sets whose tasks are not to wait, and cannot start."""
        empty = {
            key
            for key, bucket in found.buckets.items()
            if bucket.on_deny == "shed" and found.ledger.left[key] <= 0
        }
        if not empty or self.limiter.degraded:
            return []
        return [pair for pair, gate in found.gates.items() if gate.need.lacks(empty)]

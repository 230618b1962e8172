"""The dispatcher's cycle: from ready rows to published envelopes, a handful of statements.

1. Return what the broker did not take. 2. Measure the room: the window less what is in flight.
3. Fetch the most urgent candidates of each swarm, a bounded number however long the backlog.
4. Choose (pure, :mod:`coordination.fairness`). 5. Mark and commit. 6. Hand to the publisher.
"""

from __future__ import annotations

import math
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.conf import settings

from coordination import sql
from coordination.capacity import Capacity
from coordination.fairness import Candidate, Parcel, VirtualTime, choose
from coordination.lifecycle import dispatch as mark
from coordination.lifecycle import take_back_unpublished
from coordination.lifecycle.leading import Pick
from coordination.publish import Envelope, Publisher
from coordination.sizing import BACKSTOP_SECONDS, Sizes

FEWEST_CANDIDATES = 16
MOST_CANDIDATES = 2_000  # per swarm and priority

_ROOM = """
SELECT pool, SUM(concurrency) AS slots FROM coordination_workernode
WHERE stopped_at IS NULL AND lease_expires_at > @now AND NOT draining GROUP BY pool
"""
_IN_FLIGHT = """
SELECT pool, agent_id, count(DISTINCT envelope) AS envelopes FROM coordination_task
WHERE status IN ('dispatched', 'running') GROUP BY pool, agent_id
"""
_GROUPS = """
SELECT pools.pool, s.id AS swarm_id, levels.priority
FROM coordination_swarm s
CROSS JOIN @rows(pools, pool text) CROSS JOIN @rows(levels, priority integer)
WHERE NOT s.paused AND (
    SELECT 1 FROM coordination_task t WHERE t.status = 'ready' AND t.pool = pools.pool
    AND t.swarm_id = s.id AND t.priority = levels.priority ORDER BY t.ready_at LIMIT 1) = 1
"""
"""A scalar subquery, not EXISTS: PostgreSQL would turn that into one pass over all that waits. The
order is the index's: without it one pass for each group that is empty looks cheaper."""
_OLDEST = """
SELECT * FROM (SELECT id, pool, swarm_id, definition_id, priority, rank, payload_bytes,
    @epoch(@now) - @epoch(ready_at) AS waited,
    CASE WHEN solo OR lane_id IS NOT NULL THEN 1 ELSE 0 END AS solo
FROM coordination_task WHERE status = 'ready' AND pool = '{pool}' AND swarm_id = {swarm_id}
    AND priority = {priority} {only} ORDER BY {order} LIMIT {limit}) AS {alias}
"""


@dataclass(slots=True)
class Dispatcher:
    """Fills the broker's window; keeps only what it may lose: virtual times and run times."""

    publisher: Publisher
    clocks: dict[str, VirtualTime] = field(default_factory=lambda: defaultdict(VirtualTime))
    sizes: Sizes = field(default_factory=Sizes)
    capacity: Capacity = field(default_factory=Capacity)
    seen: dict[tuple[str, int], set[int]] = field(default_factory=lambda: defaultdict(set))
    """Definitions met per pool and swarm: which of them can be served is asked each cycle."""

    def cycle(self, term: int) -> int:
        """Publish as many envelopes as there is room for; how many tasks they hold."""
        take_back_unpublished(term, self.publisher.refused())
        if not self.publisher.ready:
            return 0
        slots = {row["pool"]: int(row["slots"]) for row in sql.fetch(_ROOM)}
        if not slots:
            return 0
        groups = sql.fetch(_GROUPS, {"pools": POOL_ROWS, "levels": LEVEL_ROWS})
        groups = [group for group in groups if group["pool"] in slots]
        if not groups:
            return 0
        return self._fill(term, slots, groups)

    def _fill(self, term: int, slots: Mapping[str, int], groups: Sequence[sql.Row]) -> int:
        envelopes: dict[str, int] = defaultdict(int)
        held: dict[int, int] = defaultdict(int)
        for row in sql.fetch(_IN_FLIGHT):
            envelopes[row["pool"]] += row["envelopes"]
            held[row["agent_id"]] += row["envelopes"]
        window: int = settings.ANSF["WINDOW_PER_SLOT"]
        room = {pool: count * window - envelopes[pool] for pool, count in slots.items()}
        groups = [group for group in groups if room[group["pool"]] > 0]
        if not groups:
            return 0
        self.sizes.refresh()
        self.capacity.refresh(group["swarm_id"] for group in groups)
        found = self._candidates(groups, room, held)
        dispatched = 0
        for pool, candidates in found.items():
            shares = {swarm: self.capacity.share(swarm, held) for swarm in candidates}
            parcels = choose(
                candidates,
                shares,
                self.clocks[pool],
                room[pool],
                self.sizes.of,
                workers=slots[pool],
            )
            dispatched += self._send(term, pool, parcels)
            for parcel in parcels:
                held[parcel.agent_id] += 1
        return dispatched

    def _candidates(
        self, groups: Sequence[sql.Row], room: Mapping[str, int], held: Mapping[int, int]
    ) -> dict[str, dict[int, list[Candidate]]]:
        """By pool and swarm: the oldest of each priority, and those with the longest path."""
        swarms = len({group["swarm_id"] for group in groups})
        statements = []
        for number, group in enumerate(groups):
            # One swarm alone fills the room; of several, each may get more than its even share.
            even = room[group["pool"]] * self.sizes.largest / swarms
            wanted = even if swarms == 1 else 2 * even
            limit = max(FEWEST_CANDIDATES, min(MOST_CANDIDATES, math.ceil(wanted)))
            without = self._unservable(group["pool"], group["swarm_id"], held)
            served = f"AND definition_id NOT IN ({_numbers(without)})" if without else ""
            oldest = {**group, "limit": limit, "only": served, "order": "ready_at"}
            ranked = {**oldest, "only": f"{served} AND rank > 0", "order": "rank DESC"}
            statements.append(_OLDEST.format(**oldest, alias=f"oldest_{number}"))
            statements.append(_OLDEST.format(**ranked, alias=f"ranked_{number}"))
        found: dict[str, dict[int, dict[uuid.UUID, Candidate]]] = defaultdict(
            lambda: defaultdict(dict)
        )
        for row in sql.fetch_uncached(" UNION ALL ".join(statements)):
            candidate = Candidate(
                sql.as_uuid(row["id"]),
                row["swarm_id"],
                row["definition_id"],
                row["priority"],
                row["rank"],
                row["waited"],
                row["payload_bytes"],
                bool(row["solo"]),
            )
            found[row["pool"]][candidate.swarm_id][candidate.id] = candidate
            self.seen[row["pool"], candidate.swarm_id].add(candidate.definition_id)
        return {
            pool: {swarm: list(tasks.values()) for swarm, tasks in swarms.items()}
            for pool, swarms in found.items()
        }

    def _unservable(self, pool: str, swarm: int, held: Mapping[int, int]) -> set[int]:
        """Definitions that nobody can take now: were they fetched, they would hide the others."""
        slots = self.capacity.share(swarm, held).slots
        unservable = set()
        for definition in self.seen[pool, swarm]:
            known = self.sizes.definition(definition)
            able = any(known.capabilities <= slot.capabilities for slot in slots)
            if not able or not self.capacity.handles(pool, known.handler):
                unservable.add(definition)
        return unservable

    def _send(self, term: int, pool: str, parcels: Sequence[Parcel]) -> int:
        ids = [uuid.uuid4() for _ in parcels]
        picks = [
            Pick(member.id, envelope, parcel.agent_id)
            for envelope, parcel in zip(ids, parcels, strict=True)
            for member in parcel.members
        ]
        fences = mark(term, picks)
        envelopes = []
        for envelope, parcel in zip(ids, parcels, strict=True):
            members = tuple((m.id, fences[m.id]) for m in parcel.members if m.id in fences)
            if members:
                known = self.sizes.definition(parcel.definition_id)
                envelopes.append(
                    Envelope(
                        envelope,
                        pool,
                        parcel.level,
                        parcel.definition_id,
                        known.handler,
                        known.time_limit + BACKSTOP_SECONDS,
                        members,
                    )
                )
        if envelopes:
            self.publisher.accept(envelopes)
        return len(fences)


def _numbers(ids: Iterable[int]) -> str:
    return ", ".join(str(number) for number in sorted(ids))


POOL_ROWS = [{"pool": "cpu"}, {"pool": "io"}]
LEVEL_ROWS = [{"priority": priority} for priority in range(10)]

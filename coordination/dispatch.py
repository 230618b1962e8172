"""The dispatcher's cycle: from ready rows to published envelopes, a handful of statements.

1. Return what the broker did not take. 2. Measure the room: the window less what is in flight.
3. Look at the policies of what waits (:mod:`coordination.limiting`); leave out what they hold
back. 4. Fetch the most urgent candidates of each swarm, a bounded number however long the
backlog. 5. Choose (pure, :mod:`coordination.fairness`). 6. Charge the policies. 7. Mark and
commit. 8. Hand to the publisher.
"""

from __future__ import annotations

import math
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection

from coordination import sql
from coordination.capacity import Capacity
from coordination.fairness import Candidate, Parcel, VirtualTime, choose
from coordination.lifecycle import dispatch as mark
from coordination.lifecycle import drop, take_back_unpublished
from coordination.lifecycle.leading import Pick
from coordination.limiting import Limits, Round
from coordination.publish import Envelope, Publisher
from coordination.sizing import BACKSTOP_SECONDS, Sizes
from coordination.subjects import Pair

FEWEST_CANDIDATES = 16
MOST_CANDIDATES = 2_000  # per swarm, priority and limit set
MOST_GROUPS = 1_000  # looked at in one cycle; the next one goes on behind them
START: sql.Row = {"pool": "", "swarm_id": 0, "priority": 0, "limit_set": 0, "number": 0}

_ROOM = """
SELECT pool, SUM(concurrency) AS slots FROM coordination_workernode
WHERE stopped_at IS NULL AND lease_expires_at > @now AND NOT draining GROUP BY pool
"""
_IN_FLIGHT = """
SELECT pool, agent_id, swarm_id, limit_set, count(DISTINCT envelope) AS envelopes,
    count(*) AS tasks FROM coordination_task
WHERE status IN ('dispatched', 'running') GROUP BY pool, agent_id, swarm_id, limit_set
"""
_NEXT = """
    SELECT {columns} FROM coordination_task n WHERE n.status = 'ready'
    AND (n.pool, n.swarm_id, n.priority, n.limit_set)
        >= (found.pool, found.swarm_id, found.priority, found.limit_set + 1)
    ORDER BY n.pool, n.swarm_id, n.priority, n.limit_set LIMIT 1"""
_GROUPS = """
WITH RECURSIVE found(pool, swarm_id, priority, limit_set, number) AS (
    SELECT * FROM @rows(after, pool text, swarm_id bigint, priority integer, limit_set integer,
                        number integer)
    UNION ALL
    SELECT CAST(t.pool AS text), t.swarm_id, CAST(t.priority AS integer), t.limit_set,
        found.number + 1
    FROM found {next} WHERE found.number < %(most)s)
SELECT found.*, (SELECT s.paused FROM coordination_swarm s WHERE s.id = found.swarm_id) AS paused
FROM found WHERE found.number > 0 ORDER BY found.number
"""
"""Each step skips all that is left of a group: as many steps as groups, however much waits. `>=`
with the next number, for SQLite would walk through the group to find what is `>` it."""
_GROUP = "n.pool, n.swarm_id, n.priority, n.limit_set"
GROUPS = {
    "postgresql": _GROUPS.format(next=f"CROSS JOIN LATERAL ({_NEXT.format(columns=_GROUP)}) t"),
    # SQLite has no LATERAL.
    "sqlite": _GROUPS.format(
        next=f"JOIN coordination_task t ON t.id = ({_NEXT.format(columns='n.id')})"
    ),
}
_OLDEST = """
SELECT * FROM (SELECT id, pool, swarm_id, definition_id, priority, rank, payload_bytes, limit_set,
    @epoch(@now) - @epoch(ready_at) AS waited,
    CASE WHEN solo OR lane_id IS NOT NULL THEN 1 ELSE 0 END AS solo
FROM coordination_task WHERE status = 'ready' AND pool = '{pool}' AND swarm_id = {swarm_id}
    AND priority = {priority} AND limit_set = {limit_set} {only}
    ORDER BY {order} LIMIT {limit}) AS {alias}
"""


@dataclass(frozen=True, slots=True)
class Cycle:
    """What one cycle goes by."""

    term: int
    slots: Mapping[str, int]
    room: Mapping[str, int]
    """Envelopes that the window of each pool still takes."""
    held: dict[int, int]
    """Envelopes in flight by agent; grows with what is sent."""
    limits: Round


@dataclass(slots=True)
class Dispatcher:
    """Fills the broker's window; keeps only what it may lose: virtual times and run times."""

    publisher: Publisher
    clocks: dict[str, VirtualTime] = field(default_factory=lambda: defaultdict(VirtualTime))
    sizes: Sizes = field(default_factory=Sizes)
    capacity: Capacity = field(default_factory=Capacity)
    seen: dict[tuple[str, int], set[int]] = field(default_factory=lambda: defaultdict(set))
    """Definitions met per pool and swarm: which of them can be served is asked each cycle."""
    limits: Limits = field(default_factory=Limits)
    flowing: bool = False
    """Whether the last cycle dispatched what no policy holds back: more of it may wait."""
    _after: sql.Row = field(default_factory=lambda: START)

    def cycle(self, term: int) -> int:
        """Publish as many envelopes as there is room for; how many tasks they hold."""
        self.flowing = False
        take_back_unpublished(term, self.publisher.refused())
        if not self.publisher.ready:
            return 0
        slots = {row["pool"]: int(row["slots"]) for row in sql.fetch(_ROOM)}
        if not slots:
            return 0
        groups = self.limits.awake([g for g in self._groups() if g["pool"] in slots])
        if not groups:
            return 0
        return self._fill(term, slots, groups)

    def _groups(self) -> list[sql.Row]:
        """Pool, swarm, priority and limit set of what is ready, paused swarms left out."""
        statement = GROUPS[connection.vendor]
        groups = sql.fetch(statement, {"after": [self._after], "most": MOST_GROUPS})
        if not groups and self._after is not START:
            groups = sql.fetch(statement, {"after": [START], "most": MOST_GROUPS})
        more = len(groups) >= MOST_GROUPS
        self._after = {**{name: groups[-1][name] for name in START}, "number": 0} if more else START
        return [group for group in groups if not group["paused"]]

    def _fill(self, term: int, slots: Mapping[str, int], groups: Sequence[sql.Row]) -> int:
        envelopes: dict[str, int] = defaultdict(int)
        held: dict[int, int] = defaultdict(int)
        flight = sql.fetch(_IN_FLIGHT)
        for row in flight:
            envelopes[row["pool"]] += row["envelopes"]
            held[row["agent_id"]] += row["envelopes"]
        window: int = settings.ANSF["WINDOW_PER_SLOT"]
        room = {pool: count * window - envelopes[pool] for pool, count in slots.items()}
        groups = [group for group in groups if room[group["pool"]] > 0]
        if not groups:
            return 0
        found = self.limits.look(groups, flight)
        cycle = Cycle(term, slots, room, held, found)
        dispatched = self._serve(cycle, [g for g in groups if found.most(pair_of(g)) > 0])
        if shed := set(self.limits.shed(found)):
            dispatched += drop(term, [group for group in groups if pair_of(group) in shed])
        return dispatched

    def _serve(self, cycle: Cycle, groups: Sequence[sql.Row]) -> int:
        """Fetch, choose, charge and send; how many tasks were dispatched."""
        if not groups:
            return 0
        self.sizes.refresh()
        self.capacity.refresh(group["swarm_id"] for group in groups)
        dispatched = 0
        for pool, candidates in self._candidates(cycle, groups).items():
            parcels = choose(
                candidates,
                {swarm: self.capacity.share(swarm, cycle.held) for swarm in candidates},
                self.clocks[pool],
                cycle.room[pool],
                self.sizes.of,
                workers=cycle.slots[pool],
                gates=cycle.limits.gates,
            )
            parcels = self.limits.take(cycle.limits, parcels)
            sent = self._send(cycle.term, pool, parcels)
            unsent = [len(p.members) - n for p, n in zip(parcels, sent, strict=True)]
            self.limits.give_back(cycle.limits, zip(parcels, unsent, strict=True))
            dispatched += sum(sent)
            for parcel in parcels:
                cycle.held[parcel.agent_id] += 1
                self.flowing |= not cycle.limits.holds(parcel)
        return dispatched

    def _candidates(
        self, cycle: Cycle, groups: Sequence[sql.Row]
    ) -> dict[str, dict[int, list[Candidate]]]:
        """By pool and swarm: the oldest of each priority, and those with the longest path."""
        swarms = len({group["swarm_id"] for group in groups})
        statements = []
        for number, group in enumerate(groups):
            # One swarm alone fills the room; of several, each may get more than its even share.
            even = cycle.room[group["pool"]] * self.sizes.largest / swarms
            wanted = even if swarms == 1 else 2 * even
            limit = max(FEWEST_CANDIDATES, min(MOST_CANDIDATES, math.ceil(wanted)))
            limit = min(limit, cycle.limits.most(pair_of(group)))
            without = self._unservable(group["pool"], group["swarm_id"], cycle.held)
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
                row["limit_set"],
                cycle.limits.held(pair_of(row), row["waited"]),
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

    def _send(self, term: int, pool: str, parcels: Sequence[Parcel]) -> list[int]:
        """Mark and hand over; how many members of each parcel went out."""
        ids = [uuid.uuid4() for _ in parcels]
        picks = [
            Pick(member.id, envelope, parcel.agent_id)
            for envelope, parcel in zip(ids, parcels, strict=True)
            for member in parcel.members
        ]
        fences = mark(term, picks)
        envelopes, sent = [], []
        for envelope, parcel in zip(ids, parcels, strict=True):
            members = tuple((m.id, fences[m.id]) for m in parcel.members if m.id in fences)
            sent.append(len(members))
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
        return sent


def _numbers(ids: Iterable[int]) -> str:
    return ", ".join(str(number) for number in sorted(ids))


def pair_of(group: sql.Row) -> Pair:
    """What says which policies hold for a group."""
    return group["swarm_id"], group["limit_set"]

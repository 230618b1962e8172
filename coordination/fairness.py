"""Who is served next: weighted fair sharing between swarms, urgency within one. Pure.

Between swarms: start-time fair queueing (Goyal, Vin and Cheng 1996). Each swarm has a virtual
time that grows by the cost it was served divided by its weight; the swarm with the smallest is
next. A swarm that had nothing to do starts at the smallest time of the busy ones, so idleness
earns no credit.

Within a swarm: effective priority (priority, plus one per aging step waited, at most 9), then
rank (longest remaining path), then age.

What a policy holds back ages among its own kind: of equals, it stands behind those who could have
started before it could.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol
from uuid import UUID

TOP_PRIORITY = 9


@dataclass(frozen=True, slots=True)
class Candidate:
    """A ready task as the choice sees it."""

    id: UUID
    swarm_id: int
    definition_id: int
    priority: int
    rank: float
    waited: float
    """Seconds since it became ready."""
    payload_bytes: int = 0
    solo: bool = False
    """Must travel alone: part of a lane, or suspected of killing its worker."""
    limit_set: int = 0
    """Tasks of one set need the same units of the same policies; 0: asked for none."""
    held: float = 0.0
    """Seconds of its wait in which a policy held it back: they do not put it before others."""


class Gate(Protocol):
    """How many tasks of a limit set may start now."""

    def left(self, agent: int) -> int:
        """How many that agent may still be given."""

    def take(self, agent: int, count: int) -> None:
        """Account for so many given to it."""


Gates = Mapping[tuple[int, int], Gate]
"""By swarm and limit set; what has no gate is not limited."""


def effective_priority(priority: int, waited: float, step: float) -> int:
    """Priority after aging; a step of 0 turns aging off."""
    if not step > 0:  # a NaN as well
        return priority
    return min(TOP_PRIORITY, priority + max(0, int(waited / step)))  # clocks can be set back


def order(candidates: Iterable[Candidate], step: float) -> list[Candidate]:
    """Most urgent first; equals by longest remaining path, then by age since nothing held them."""
    return sorted(
        candidates,
        key=lambda c: (
            -effective_priority(c.priority, c.waited, step),
            -c.rank,
            c.held - c.waited,
            -c.waited,
        ),
    )


@dataclass(slots=True)
class VirtualTime:
    """Each swarm's served cost over its weight, kept from cycle to cycle."""

    times: dict[int, float] = field(default_factory=dict)

    def activate(self, active: Iterable[int]) -> None:
        """Forget idle swarms; let newly busy ones start level with the least served."""
        busy = set(active)
        known = {swarm: time for swarm, time in self.times.items() if swarm in busy}
        floor = min(known.values(), default=0.0)
        self.times = {swarm: known.get(swarm, floor) - floor for swarm in busy}

    def charge(self, swarm: int, cost: float, weight: float) -> None:
        """Account for what a swarm was served."""
        self.times[swarm] = self.times.get(swarm, 0.0) + cost / weight


@dataclass(frozen=True, slots=True)
class Slot:
    """An agent with room for so many more envelopes."""

    agent_id: int
    capabilities: frozenset[str]
    free: int
    load: float
    """Share of its slots in use."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """An envelope to be: tasks of one definition and level, and the agent that holds it."""

    swarm_id: int
    definition_id: int
    level: int
    """Effective priority."""
    agent_id: int
    members: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Sizing:
    """How large an envelope of a definition may be, and what a task of it costs."""

    members: int
    seconds: float
    capabilities: frozenset[str] = frozenset()


MAX_ENVELOPE_BYTES = 1_000_000
BRIEF_SECONDS = 0.005
"""Work that limited tasks share an envelope for, while others would spread: they wait anyway."""


@dataclass(slots=True)
class _Queue:
    """One swarm's candidates in order, and its agents' free slots."""

    swarm_id: int
    step: float
    left: list[Candidate]
    slots: list[_Bench]
    workers: int
    gates: Gates
    position: int = 0
    levels: Counter[int] = field(init=False)
    """How many candidates of each effective priority are left."""

    def __post_init__(self) -> None:
        self.levels = Counter(self._level(candidate) for candidate in self.left)

    def _level(self, candidate: Candidate) -> int:
        return effective_priority(candidate.priority, candidate.waited, self.step)

    def next_parcel(self, size_of: Callable[[int], Sizing], spread: int) -> Parcel | None:
        """The most urgent tasks of one definition that an agent can take, or None."""
        while self.position < len(self.left):
            first = self.left[self.position]
            sizing = size_of(first.definition_id)
            gate = self.gates.get((self.swarm_id, first.limit_set))
            bench = _least_loaded(self.slots, sizing.capabilities, gate)
            level = self._level(first)
            if bench is None:
                self.position += 1  # no agent can or may take it now; others may be taken
                self.levels[level] -= 1
                continue
            most = min(spread, max(1, self.levels[level] // (2 * self.workers)))
            if gate is not None:
                brief = int(BRIEF_SECONDS / max(sizing.seconds, 1e-6))
                most = min(max(most, brief), gate.left(bench.slot.agent_id))
            members = self._gather(first, min(sizing.members, most))
            self.levels[level] -= len(members)
            bench.take()
            if gate is not None:
                gate.take(bench.slot.agent_id, len(members))
            return Parcel(
                self.swarm_id, first.definition_id, level, bench.slot.agent_id, tuple(members)
            )
        return None

    def _gather(self, first: Candidate, most: int) -> list[Candidate]:
        """Neighbours of the same definition and level, removed from what is left."""
        level = self._level(first)
        members, size = [first], first.payload_bytes
        end = self.position + 1
        while not first.solo and end < len(self.left) and len(members) < most:
            other = self.left[end]
            if (
                other.solo
                or other.definition_id != first.definition_id
                or other.limit_set != first.limit_set
                or self._level(other) != level
                or size + other.payload_bytes > MAX_ENVELOPE_BYTES
            ):
                break
            members.append(other)
            size += other.payload_bytes
            end += 1
        self.position = end
        return members


@dataclass(slots=True)
class _Bench:
    """An agent's slot count as it is filled."""

    slot: Slot
    taken: int = 0

    @property
    def free(self) -> bool:
        return self.taken < self.slot.free

    @property
    def load(self) -> float:
        return self.slot.load + self.taken / max(self.slot.free, 1)

    def take(self) -> None:
        self.taken += 1


def _least_loaded(
    benches: Sequence[_Bench], needed: frozenset[str], gate: Gate | None
) -> _Bench | None:
    able = [b for b in benches if b.free and needed <= b.slot.capabilities]
    if gate is not None:
        able = [b for b in able if gate.left(b.slot.agent_id) > 0]
    return min(able, key=lambda b: (b.load, b.slot.agent_id)) if able else None


@dataclass(frozen=True, slots=True)
class Share:
    """A swarm's claim on the workers."""

    weight: float
    aging_step: float
    slots: tuple[Slot, ...]


def choose(
    candidates: Mapping[int, Sequence[Candidate]],
    shares: Mapping[int, Share],
    clock: VirtualTime,
    room: int,
    size_of: Callable[[int], Sizing],
    *,
    workers: int = 1,
    gates: Gates = MappingProxyType({}),
) -> list[Parcel]:
    """Fill `room` envelopes from the swarms' candidates, the least served swarm first.

    When less waits than there is room, envelopes shrink so that the work spreads over all of
    it: latency first, batching only under load. Towards the end of a level they shrink as well
    (guided self-scheduling, Polychronopoulos and Kuck 1987, for `workers` slots): otherwise one
    slot would begin the next level while members of this one still wait in another's envelope.
    What a gate holds back is passed over, and hides nothing behind it.
    """
    if room <= 0:
        return []
    waiting = sum(len(found) for found in candidates.values())
    spread = max(1, -(-waiting // room))
    clock.activate(swarm for swarm, found in candidates.items() if found)
    queues = {
        swarm: _Queue(
            swarm,
            shares[swarm].aging_step,
            order(found, shares[swarm].aging_step),
            [_Bench(slot) for slot in shares[swarm].slots],
            max(1, workers),
            gates,
        )
        for swarm, found in candidates.items()
        if found
    }
    heap = [(clock.times[swarm], swarm) for swarm in queues]
    heapq.heapify(heap)
    parcels: list[Parcel] = []
    while heap and len(parcels) < room:
        _, swarm = heapq.heappop(heap)
        parcel = queues[swarm].next_parcel(size_of, spread)
        if parcel is None:
            continue
        parcels.append(parcel)
        cost = len(parcel.members) * size_of(parcel.definition_id).seconds
        clock.charge(swarm, cost, shares[swarm].weight)
        heapq.heappush(heap, (clock.times[swarm], swarm))
    return parcels

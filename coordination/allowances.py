"""What may start now: units left per key, and the keys that a limited task needs. Pure.

All gates of a cycle share one ledger, so that two limit sets, swarms or pools that need the same
key cannot both spend its last unit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from coordination.fairness import Candidate, Parcel

UNBOUNDED = 1 << 40
"""Units left of a key that holds nothing back (yet)."""

Key = tuple[str, str]
"""Policy and subject: names one bucket."""


@dataclass(frozen=True, slots=True)
class Need:
    """The keys that every task of a limit set needs, and those that depend on its agent."""

    keys: tuple[Key, ...] = ()
    of_agent: Mapping[int, tuple[Key, ...]] = field(default_factory=dict)

    def all_of(self, agent: int) -> tuple[Key, ...]:
        """Everything that a task needs when this agent takes it."""
        return (*self.keys, *self.of_agent.get(agent, ()))

    def lacks(self, empty: AbstractSet[Key]) -> bool:
        """Whether a task lacks one of these whichever agent takes it."""
        if not empty.isdisjoint(self.keys):
            return True
        of_agents = self.of_agent.values()
        return bool(of_agents) and all(not empty.isdisjoint(keys) for keys in of_agents)


@dataclass(slots=True)
class Ledger:
    """Units left and spent per key, in one cycle."""

    left: dict[Key, int] = field(default_factory=dict)
    spent: Counter[Key] = field(default_factory=Counter)

    def least(self, keys: Sequence[Key]) -> int:
        """How many tasks may start that need all of these."""
        return max(0, min((self.left.get(key, UNBOUNDED) for key in keys), default=UNBOUNDED))

    def spend(self, keys: Sequence[Key], count: int) -> None:
        """Account for so many tasks that need all of these."""
        for key in keys:
            self.left[key] = self.left.get(key, UNBOUNDED) - count
            self.spent[key] += count


@dataclass(frozen=True, slots=True)
class KeyGate:
    """Lets tasks of one limit set through while all their keys have units left."""

    need: Need
    ledger: Ledger

    def left(self, agent: int) -> int:
        return self.ledger.least(self.need.all_of(agent))

    def take(self, agent: int, count: int) -> None:
        self.ledger.spend(self.need.all_of(agent), count)

    @property
    def most(self) -> int:
        """How many may start, whichever agents take them."""
        shared = self.ledger.least(self.need.keys)
        if not self.need.of_agent:
            return shared
        return min(shared, sum(self.left(agent) for agent in self.need.of_agent))


def cut_to(parcels: Sequence[Parcel], needs: Mapping[tuple[int, int], Need],
           granted: Mapping[Key, int]) -> tuple[list[Parcel], Counter[Key]]:  # fmt: skip
    """The parcels without the members that were not granted all they need; what is left over.

    Earlier members come first. A key that `granted` does not name holds nothing back.
    """
    left = Counter(granted)
    kept = []
    for parcel in parcels:
        members = tuple(m for m in parcel.members if _pass(m, parcel, needs, left))
        if members:
            kept.append(replace(parcel, members=members))
    return kept, +left


def _pass(
    member: Candidate, parcel: Parcel, needs: Mapping[tuple[int, int], Need], left: Counter[Key]
) -> bool:
    need = needs.get((parcel.swarm_id, member.limit_set))
    keys = [key for key in need.all_of(parcel.agent_id) if key in left] if need else []
    if any(left[key] < 1 for key in keys):
        return False
    for key in keys:
        left[key] -= 1
    return True

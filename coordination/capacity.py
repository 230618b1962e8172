"""Who could take work: the swarms' shares, their agents' free slots, the workers' handlers.

Read twice a second; what is in flight is given anew with each question.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.conf import settings

from coordination import sql
from coordination.fairness import Share, Slot
from coordination.models import Agent

BELIEVED_SECONDS = 0.5

_HANDLERS = """
SELECT pool, handlers FROM coordination_workernode
WHERE stopped_at IS NULL AND lease_expires_at > @now AND NOT draining
"""


@dataclass(slots=True)
class Capacity:
    """Swarms, agents and handlers as they were at most half a second ago."""

    _swarms: dict[int, tuple[float, float]] = field(default_factory=dict)
    _agents: dict[int, list[Agent]] = field(default_factory=dict)
    _handlers: dict[str, set[str]] = field(default_factory=dict)
    _read_at: float = float("-inf")

    def refresh(self, swarms: Iterable[int]) -> None:
        """Read again when it was long ago, or when a swarm is new."""
        now = time.monotonic()
        if now - self._read_at < BELIEVED_SECONDS and self._swarms.keys() >= set(swarms):
            return
        self._read_at = now
        self._swarms = _read_swarms()
        self._agents = _read_agents()
        self._handlers = _read_handlers()

    def share(self, swarm: int, held: Mapping[int, int]) -> Share:
        """A swarm's weight, aging and free slots; `held` counts envelopes by agent."""
        weight, step = self._swarms[swarm]
        slots = [
            Slot(
                agent.pk,
                frozenset(agent.capabilities),
                agent.slots - held.get(agent.pk, 0),
                held.get(agent.pk, 0) / agent.slots,
            )
            for agent in self._agents.get(swarm, [])
            if agent.slots > held.get(agent.pk, 0)
        ]
        return Share(weight, step, tuple(slots))

    def handles(self, pool: str, handler: str) -> bool:
        """Whether any living worker of the pool has that handler."""
        return handler in self._handlers.get(pool, ())


def _read_swarms() -> dict[int, tuple[float, float]]:
    default_step: float = settings.ANSF["AGING_STEP_SECONDS"]
    rows = sql.fetch("SELECT id, weight, aging_seconds FROM coordination_swarm")
    return {
        row["id"]: (
            float(row["weight"]),
            default_step if row["aging_seconds"] is None else row["aging_seconds"],
        )
        for row in rows
    }


def _read_agents() -> dict[int, list[Agent]]:
    agents: dict[int, list[Agent]] = defaultdict(list)
    for agent in Agent.objects.filter(enabled=True).select_related("swarm"):
        agent.capabilities = sorted({*agent.capabilities, *agent.swarm.capabilities})
        agents[agent.swarm_id].append(agent)
    return agents


def _read_handlers() -> dict[str, set[str]]:
    handlers: dict[str, set[str]] = defaultdict(set)
    for row in sql.fetch(_HANDLERS):
        handlers[row["pool"]].update(sql.parse_json(row["handlers"]))
    return handlers

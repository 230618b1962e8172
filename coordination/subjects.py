"""Whom a limited task is counted for: its limit set's subject, and the buckets that follow.

A limit set (:class:`coordination.models.LimitSet`) never changes. Swarms, and the policies that
definitions and swarms name, do: they are read twice a second, so a change holds for what already
waits, within two seconds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from coordination import sql
from coordination.allowances import Key, Need
from coordination.models import Agent, LimitSet
from ratelimit import policies
from ratelimit.buckets import Bucket
from ratelimit.spec import idle_for_tasks, wrong_for_tasks
from ratelimit.subject import Subject, parse

logger = logging.getLogger(__name__)

BELIEVED_SECONDS = 0.5
MOST_SETS = 50_000  # kept in memory

Pair = tuple[int, int]
"""A swarm and a limit set: what says which policies hold."""


@dataclass(frozen=True, slots=True)
class SwarmNames:
    """What policies need to know of a swarm."""

    tenant: str
    slug: str
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SetNames:
    """What policies need to know of a limit set."""

    definition: str
    limits: tuple[str, ...]
    user: str
    token: str


NO_SET = SetNames("", (), "", "")


@dataclass(slots=True)
class Subjects:
    """Swarms and limit sets by id, and the keys that they lead to."""

    _swarms: dict[int, SwarmNames] = field(default_factory=dict)
    _sets: dict[int, SetNames] = field(default_factory=dict)
    _agents: dict[int, list[tuple[int, str]]] = field(default_factory=dict)
    _needs: dict[Pair, Need] = field(default_factory=dict)
    _buckets: dict[Key, Bucket] = field(default_factory=dict)
    _read_at: float = float("-inf")

    def refresh(self, pairs: Iterable[Pair]) -> None:
        """Read what is half a second old, and what is not known yet."""
        now = time.monotonic()
        wanted = set(pairs)
        if now - self._read_at >= BELIEVED_SECONDS or any(s not in self._swarms for s, _ in wanted):
            self._read_at = now
            self._swarms = _read_swarms()
            self._agents.clear()
            self._needs.clear()
            self._buckets.clear()
        unknown = {limit_set for _, limit_set in wanted if limit_set} - self._sets.keys()
        if unknown:
            if len(self._sets) > MOST_SETS:
                self._sets.clear()
                unknown = {limit_set for _, limit_set in wanted if limit_set}
            self._sets |= dict.fromkeys(unknown, NO_SET) | _read_sets(unknown)

    def is_limited(self, pair: Pair) -> bool:
        """Whether any policy holds for tasks of that limit set in that swarm."""
        need = self.need(pair)
        return bool(need.keys or need.of_agent)

    def need(self, pair: Pair) -> Need:
        """The keys that tasks of that limit set need."""
        if pair not in self._needs:
            self._needs[pair] = self._resolve(pair)
        return self._needs[pair]

    def bucket(self, key: Key) -> Bucket:
        """The bucket of a key that :meth:`need` told."""
        return self._buckets[key]

    def _resolve(self, pair: Pair) -> Need:
        swarm, chosen = self._swarms.get(pair[0]), self._sets.get(pair[1], NO_SET)
        names = (*chosen.limits, *(swarm.limits if swarm else ()))
        if swarm is None or not names:
            return Need()
        _warn_of(swarm.tenant, names)
        keys = self._keys(names, subject_of(swarm, chosen))
        if not counts_by(swarm.tenant, names, "agent"):
            return Need(keys)
        of_agent = {
            agent: tuple(
                key for key in self._keys(names, subject_of(swarm, chosen, name)) if key not in keys
            )
            for agent, name in self._agents_of(pair[0])
        }
        return Need(keys, {agent: found for agent, found in of_agent.items() if found})

    def _keys(self, names: tuple[str, ...], subject: Subject) -> tuple[Key, ...]:
        found = {
            (bucket.name, bucket.key): bucket
            for bucket in policies.buckets_for(names, subject)
            if not refuses(bucket)
        }
        self._buckets.update(found)
        return tuple(found)

    def _agents_of(self, swarm: int) -> list[tuple[int, str]]:
        if swarm not in self._agents:
            rows = Agent.objects.filter(swarm_id=swarm, enabled=True).values_list("pk", "name")
            self._agents[swarm] = list(rows)
        return self._agents[swarm]


def _warn_of(tenant: str, names: Iterable[str]) -> None:
    """A policy may have become one that tasks cannot follow after it was named."""
    for name in names:
        for policy in policies.by_name(tenant, name):
            if told := idle_for_tasks(policy.template) or wrong_for_tasks(policy.spec):
                _tell_once(name, told)


@lru_cache(maxsize=1_000)  # once for each in a process
def _tell_once(name: str, told: str) -> None:
    logger.warning("the policy %s does nothing for the tasks that name it: %s", name, told)


def refuses(bucket: Bucket) -> bool:
    """Whether a bucket counts what is submitted, rather than what starts."""
    return bucket.on_deny == "reject" and bucket.unit == "requests"


def subject_of(swarm: SwarmNames, chosen: SetNames, agent: str | None = None) -> Subject:
    """The subject that policies count a task for."""
    return Subject(
        tenant=swarm.tenant,
        swarm=swarm.slug,
        agent=agent,
        definition=chosen.definition or None,
        user=chosen.user or None,
        token=chosen.token or None,
    )


def counts_by(tenant: str, names: Iterable[str], part: str) -> bool:
    """Whether any of the named policies has a key with that field of the subject."""
    return any(
        field == part
        for name in names
        for policy in policies.by_name(tenant, name)
        for _, field in parse(policy.template)
    )


def _read_swarms() -> dict[int, SwarmNames]:
    rows = sql.fetch("SELECT id, tenant_id, slug, limits FROM coordination_swarm")
    return {
        row["id"]: SwarmNames(
            str(row["tenant_id"]), row["slug"], tuple(sql.parse_json(row["limits"]))
        )
        for row in rows
    }


def _read_sets(ids: Iterable[int]) -> dict[int, SetNames]:
    rows = LimitSet.objects.filter(pk__in=list(ids)).select_related("definition")
    return {
        row.pk: SetNames(row.definition.name, tuple(row.definition.limits), row.user, row.token)
        for row in rows
    }

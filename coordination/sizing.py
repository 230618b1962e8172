"""How large an envelope may be, learnt from the run times of recent attempts.

More than one task per message only pays, and only stays fair, when tasks are short: at most
50 ms at the 95th percentile. Then an envelope carries about 30 ms of work.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from coordination import sql
from coordination.fairness import Sizing
from coordination.models import TaskDefinition

TARGET_MS = 30.0
SHORT_P95_MS = 50.0
MAX_MEMBERS = 200
SAMPLE = 1_000  # newest attempts looked at
ENOUGH = 5  # attempts before anything is believed
REFRESH_SECONDS = 0.25
UNKNOWN_SECONDS = 0.1  # assumed cost of a task that never ran
HARD_GRACE_SECONDS = 2.0  # between the soft limit, which a handler may catch, and the kill
BACKSTOP_SECONDS = 3700.0  # the message's own limit also counts waiting for a database

_RECENT = """
SELECT definition_id, run_ms FROM coordination_attempt
WHERE id > (SELECT COALESCE(MAX(id), 0) FROM coordination_attempt) - %(sample)s
  AND run_ms IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Known:
    """What an envelope needs to know of a definition."""

    handler: str
    time_limit: float
    capabilities: frozenset[str]


# Deleted in the moment of a submission: its tasks wait, for no agent is capable of this, rather
# than stop the dispatcher for everybody.
GONE = Known("", 0.0, frozenset({"(deleted definition)"}))


def members_for(run_ms: Sequence[float]) -> int:
    """Tasks per envelope for such run times; 1 when they are long or too few are known."""
    if len(run_ms) < ENOUGH:
        return 1
    ordered = sorted(run_ms)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    if p95 > SHORT_P95_MS:
        return 1
    mean = sum(ordered) / len(ordered)
    return max(1, min(MAX_MEMBERS, int(TARGET_MS / max(mean, TARGET_MS / MAX_MEMBERS))))


@dataclass(slots=True)
class Sizes:
    """Definitions and their sizing, refreshed a few times a second."""

    _known: dict[int, Known] = field(default_factory=dict)
    _sizing: dict[int, Sizing] = field(default_factory=dict)
    _refreshed_at: float = float("-inf")

    def refresh(self) -> None:
        """Look at the newest attempts, unless that was just done."""
        now = time.monotonic()
        if now - self._refreshed_at < REFRESH_SECONDS:
            return
        self._refreshed_at = now
        samples: dict[int, list[float]] = defaultdict(list)
        for row in sql.fetch(_RECENT, {"sample": SAMPLE}):
            samples[row["definition_id"]].append(row["run_ms"])
        for definition, run_ms in samples.items():
            mean = sum(run_ms) / len(run_ms)
            capabilities = self.definition(definition).capabilities
            self._sizing[definition] = Sizing(members_for(run_ms), mean / 1000, capabilities)

    def of(self, definition: int) -> Sizing:
        """How envelopes of a definition are sized now."""
        if definition not in self._sizing:
            capabilities = self.definition(definition).capabilities
            self._sizing[definition] = Sizing(1, UNKNOWN_SECONDS, capabilities)
        return self._sizing[definition]

    def definition(self, definition: int) -> Known:
        """Handler, limit and needs of a definition; versions never change."""
        if definition not in self._known:
            row = TaskDefinition.objects.filter(pk=definition).first()
            if row is None:
                return GONE
            self._known[definition] = Known(
                row.handler, row.time_limit_seconds, frozenset(row.capabilities)
            )
        return self._known[definition]

    @property
    def largest(self) -> int:
        """The largest envelope in use, to bound how many candidates are looked at."""
        return max((sizing.members for sizing in self._sizing.values()), default=1)

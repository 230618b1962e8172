"""What is in force, as each process sees it: models, policies, budgets, a second behind the rows.

One reading of the four small tables serves all calls of a second. While calls come, it is read
anew before that, by a thread that nobody waits for. A database that does not answer leaves the
last view in force.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from django.db import DatabaseError

from gateway.errors import Refused
from gateway.models import Budget, GatewayPolicy, LanguageModel, Provider
from gateway.router import Candidate, Rules
from gateway.threads import apart, later
from ratelimit import policies

logger = logging.getLogger(__name__)

FRESH_S = 1.0
AGEING_S = 0.4
"""From this age on it is read again beside the calls."""
ASIDE_S = 0.01
"""So long after it was noticed: the call that did waits for its model by then."""
MOST_MODELS = 5_000
MOST_POLICIES = 5_000
MOST_BUDGETS = 10_000
DEFAULT_POLICY = "default"


class UnknownPolicy(Refused):
    """A request names a policy that is not there; the message says so."""

    code = "policy_not_found"


@dataclass(frozen=True, slots=True)
class View:
    """All enabled rows at one moment; read only."""

    models: Mapping[tuple[int | None, str], LanguageModel]
    policies: Mapping[tuple[int | None, str], GatewayPolicy]
    providers: Mapping[str, Provider]
    budgets: Mapping[int, tuple[Budget, ...]]
    """Of each tenant, by id of the row: the order in which they are locked."""
    _seen: dict[int, list[LanguageModel]] = field(default_factory=dict, compare=False)

    def models_of(self, tenant_id: int) -> list[LanguageModel]:
        """The enabled models of a tenant, by name: its own before everybody's of that name."""
        seen = self._seen.get(tenant_id)
        if seen is None:
            found = {name: row for (owner, name), row in self.models.items() if owner is None}
            found |= {name: row for (owner, name), row in self.models.items() if owner == tenant_id}
            seen = self._seen[tenant_id] = [found[name] for name in sorted(found)]
        return seen

    def model(self, tenant_id: int, name: str) -> LanguageModel | None:
        """The enabled model of a name that the tenant sees."""
        return self.models.get((tenant_id, name)) or self.models.get((None, name))

    def policy(self, tenant_id: int, name: str = "") -> GatewayPolicy:
        """The tenant's policy of a name, or the platform's. Raises UnknownPolicy.

        Without a name it is the one named `default`, and its columns' defaults without that.
        """
        wanted = name or DEFAULT_POLICY
        found = self.policies.get((tenant_id, wanted)) or self.policies.get((None, wanted))
        if found is None and name not in {"", DEFAULT_POLICY}:
            raise UnknownPolicy(
                f"there is no gateway policy '{name[:100]}': create it, or name none"
            )
        return found or GatewayPolicy(name=DEFAULT_POLICY)


class Watcher:
    """Keeps one view per process."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self.reset()

    def reset(self) -> None:
        """Begin anew: in a process that was forked."""
        self._lock = threading.Lock()
        self._view: View | None = None
        self.forget()

    def forget(self) -> None:
        """Read the rows anew the next time."""
        self._read_at = float("-inf")
        self._asked_again = False

    def view(self) -> View:
        """The rows in force. Raises DatabaseError only while there is no view yet."""
        view, age = self._view, self._now() - self._read_at
        if view is not None and age < FRESH_S:
            if age >= AGEING_S and not self._asked_again and apart():
                self._asked_again = True
                later(self._ahead, after_s=ASIDE_S)
            return view
        if view is not None and not self._lock.acquire(blocking=False):
            return view  # another thread is reading
        if view is None:
            self._lock.acquire()
        try:
            return self._refreshed(FRESH_S)
        finally:
            self._lock.release()

    def _ahead(self) -> None:
        with self._lock:
            self._refreshed(AGEING_S)
        policies.WATCHER.ahead(FRESH_S - AGEING_S)  # limits are asked for as often

    def _refreshed(self, fresh_s: float) -> View:
        view = self._view
        if view is not None and self._now() - self._read_at < fresh_s:
            return view
        # Before the reading: what is written meanwhile is seen within the same time.
        self._read_at, self._asked_again = self._now(), False
        try:
            self._view = _read()
        except DatabaseError as error:
            if view is None:
                self.forget()
                raise
            logger.warning("models cannot be read, the last ones stay in force: %s", error)
            return view
        return self._view


def _read() -> View:
    models = LanguageModel.objects.filter(enabled=True).select_related("provider").order_by("pk")
    policies = GatewayPolicy.objects.filter(enabled=True).order_by("pk")
    return View(
        {(row.tenant_id, row.name): row for row in models[:MOST_MODELS]},
        {(row.tenant_id, row.name): row for row in policies[:MOST_POLICIES]},
        {row.name: row for row in Provider.objects.all()[:MOST_MODELS]},
        _by_tenant(Budget.objects.filter(enabled=True).order_by("pk")[:MOST_BUDGETS]),
    )


def _by_tenant(rows: Iterable[Budget]) -> dict[int, tuple[Budget, ...]]:
    found: dict[int, list[Budget]] = {}
    for row in rows:
        found.setdefault(row.tenant_id, []).append(row)
    return {tenant_id: tuple(budgets) for tenant_id, budgets in found.items()}


WATCHER = Watcher()
os.register_at_fork(after_in_child=WATCHER.reset)  # a lock may be held in the parent


def forget() -> None:
    """Let this process read the rows anew: after its own change, and between tests."""
    WATCHER.forget()


def view() -> View:
    """The rows in force. Raises DatabaseError only while none could be read yet."""
    return WATCHER.view()


def candidate(row: LanguageModel, unhealthy: Collection[str] = ()) -> Candidate:
    """A model as the router takes it; `unhealthy` names providers whose breaker is open."""
    provider = row.provider
    return Candidate(
        name=row.name,
        provider=provider.name,
        prices=row.prices,
        context_window=row.context_window,
        max_output=row.max_output,
        quality=row.quality,
        tiers=tuple(row.tiers),
        tools=row.supports_tools,
        json=row.supports_json,
        streaming=row.supports_streaming,
        healthy=provider.enabled and provider.name not in unhealthy,
    )


def rules_of(policy: GatewayPolicy, task_class: str) -> Rules:
    """What a policy asks of the router for a class of calls."""
    return Rules(
        call_budget=policy.call_budget(task_class),
        quality_floor=policy.quality_floor,
        allowed=frozenset(policy.allowed_models),
        epsilon=policy.epsilon,
        fallbacks=policy.fallbacks,
    )

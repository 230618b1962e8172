"""The page of the gateway: what the cache answers, what calls cost, which providers are well."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from ansf_platform.accounts.models import Tenant
from dashboard.access import choices_of, part_of, tenant_of
from dashboard.views import fresh
from gateway import catalogue, costs, spending
from gateway.breaker import Mode
from gateway.breaker.shared import Seen
from gateway.cache.connection import Away, Connection
from gateway.cache.keys import Partition
from gateway.cache.pool import patient_cache
from gateway.cache.statistics import Statistics, statistics
from gateway.costs import Report
from gateway.pipe import surroundings
from gateway.request import HitLevel
from gateway.spending import Level
from gateway.strictness import THRESHOLDS, Strictness

HOURS = 24
DAYS = 30
FRESH_S = 10.0
MOST_REPORTS = 1_000
MOST_SHOWN = 50  # models, providers and budgets each; the admin and the command have the rest


@dataclass(frozen=True, slots=True)
class GatewayBoard:
    """All that the page shows, at one moment."""

    tenant: Tenant
    now: datetime
    since: date
    cache: Statistics | None
    """None: Redis does not answer."""
    threshold: float
    """Of the tenant's default policy."""
    strictness: str
    breakers: Sequence[Seen]
    costs: Report
    budgets: Sequence[Level]

    @property
    def open(self) -> list[Seen]:
        """Providers that are not called, or only tried."""
        return [seen for seen in self.breakers if seen.mode is not Mode.CLOSED]

    @property
    def hits(self) -> list[tuple[str, int]]:
        """How many requests each level answered, and how many went to a model.

        A request that awaited another one's answer had missed before.
        """
        if self.cache is None:
            return []
        called = max(0, self.cache.misses - self.cache.hits[HitLevel.COALESCED])
        return [*self.cache.hits.items(), ("model", called)]

    @property
    def near_misses(self) -> int:
        """Misses that had a similar entry to be compared with."""
        return sum(self.cache.scores) if self.cache else 0

    @property
    def summary(self) -> str:
        """One sentence for those who listen to the page."""
        rest = f"{len(self.open)} providers rest" if self.open else "all providers are well"
        rate = self.cache.hit_rate if self.cache else None
        hits = "no calls yet" if rate is None else f"{rate:.0%} of the calls hit"
        return f"{hits}; {rest}"


class Reports:
    """Costs by model, as each process tells them: a report sums every entry of the running day, and
    each viewer of the page asks every three seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._found: dict[tuple[int, date], tuple[float, Report]] = {}

    def of(self, tenant: Tenant, since: date) -> Report:
        """What the tenant has spent from a day on, at most :data:`FRESH_S` ago."""
        key, now = (tenant.pk, since), self._now()
        until, found = self._found.get(key, (now, None))
        if found is None or now >= until:
            found = costs.report(tenant, "model", since)
            if len(self._found) >= MOST_REPORTS:
                self._found.clear()
            self._found[key] = (self._now() + FRESH_S, found)
        return found

    def forget(self) -> None:
        """Sum anew: between tests."""
        self._found.clear()


REPORTS = Reports()


@require_safe
@login_required
def page(request: HttpRequest) -> HttpResponse:
    """The whole page."""
    found = _board(request)
    context = {"board": found, "tenant": found.tenant, "choices": choices_of(request)}
    return fresh(render(request, "dashboard/gateway/page.html", context))


@require_safe
@part_of("gateway-page")
def board(request: HttpRequest) -> HttpResponse:
    """Its live region."""
    return fresh(render(request, "dashboard/gateway/board.html", {"board": _board(request)}))


def _board(request: HttpRequest) -> GatewayBoard:
    tenant, now = tenant_of(request), timezone.now()
    since = now.date() - timedelta(days=DAYS - 1)
    view = catalogue.view()
    strictness = Strictness(view.policy(tenant.pk).strictness)
    names = sorted({row.provider.name for row in view.models_of(tenant.pk)})[:MOST_SHOWN]
    connection = patient_cache().connection
    return GatewayBoard(
        tenant=tenant,
        now=now,
        since=since,
        cache=_cache(tenant, connection),
        threshold=THRESHOLDS[strictness],
        strictness=strictness.value,
        breakers=surroundings().breakers.show(names, connection),
        costs=REPORTS.of(tenant, since),
        budgets=spending.levels(tenant.pk)[:MOST_SHOWN],
    )


def _cache(tenant: Tenant, connection: Connection) -> Statistics | None:
    try:
        return statistics(connection, Partition(str(tenant.pk)), HOURS)
    except Away:
        return None

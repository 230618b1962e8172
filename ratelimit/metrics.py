"""``/metrics`` for Prometheus: what limits decided in all processes together.

The numbers are gathered in Redis (:mod:`ratelimit.counting`), so any web process can answer for
all, forked ones included, and nothing is counted twice. Labels are policies, never keys: a label
for each caller would grow without bound. Who asks needs the scope ``limits:read`` and is told of
the tenant's policies and the platform's; a superuser of all.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from ansf_platform.accounts.authentication import Principal
from ansf_platform.accounts.models import Tenant
from ratelimit import selectors
from ratelimit.counting import OUTCOMES
from ratelimit.models import Policy
from ratelimit.selectors import PolicyView

LABELS = ("policy", "tenant", "unit")


class TextRenderer(BaseRenderer):
    """Lets DRF accept what Prometheus says it accepts."""

    media_type = "text/plain"
    format = "txt"
    charset = None

    def render(self, data: object, *args: object, **kwargs: object) -> bytes:
        """Problems as text; the metrics themselves are written by `get`."""
        return str(data).encode()


class PolicyCollector(Collector):
    """The metrics of some policies, read when they are asked for."""

    def __init__(self, tenant: Tenant | None) -> None:
        self._tenant = tenant

    def collect(self) -> Iterator[Metric]:
        rows = selectors.visible(self._tenant).order_by("pk")
        views = selectors.views(rows, self._tenant)
        yield _units(views)
        yield from _settings(views)
        yield _levels(views)
        known = all(view.seen.known for view in views)
        about = "1 when the counts could be read, 0 while Redis is away."
        yield GaugeMetricFamily("ansf_limit_counts_known", about, value=float(known))


def _labels(row: Policy) -> list[str]:
    return [row.name, row.tenant.slug if row.tenant else "", row.unit]


def _units(views: list[PolicyView]) -> Metric:
    about = "Units allowed, denied, shadowed, degraded (decided without Redis), returned."
    family = CounterMetricFamily("ansf_limit_units", about, labels=[*LABELS, "outcome"])
    for view in views:
        if view.seen.known:
            for outcome in OUTCOMES:
                family.add_metric([*_labels(view.row), outcome], view.seen.totals[outcome])
    return family


def _settings(views: list[PolicyView]) -> Iterator[Metric]:
    rate = GaugeMetricFamily("ansf_limit_rate", "Units per second, as set.", labels=LABELS)
    burst = GaugeMetricFamily("ansf_limit_burst", "Units at once, as set.", labels=LABELS)
    enabled = GaugeMetricFamily("ansf_limit_enabled", "1 when it is in force.", labels=LABELS)
    for view in views:
        row, labels = view.row, _labels(view.row)
        if row.unit != Policy.Unit.CONCURRENCY:  # places come back when they are left
            rate.add_metric(labels, row.limit / float(row.period_seconds))
        burst.add_metric(labels, row.limit if row.burst is None else row.burst)
        enabled.add_metric(labels, float(row.enabled))
    yield from (rate, burst, enabled)


def _levels(views: list[PolicyView]) -> Metric:
    about = "Least units left among the keys that asked most in the last minutes."
    family = GaugeMetricFamily("ansf_limit_remaining_least", about, labels=LABELS)
    for view in views:
        lowest = view.lowest
        if lowest is not None and lowest.state is not None:
            family.add_metric(_labels(view.row), lowest.state.remaining)
    return family


class Metrics(APIView):
    """The page that Prometheus fetches, with a token as its bearer."""

    read_scope = "limits:read"
    renderer_classes = [TextRenderer]
    schema = None
    http_method_names = ["get", "head"]

    def get(self, request: Request) -> HttpResponse:
        principal = request.auth
        assert isinstance(principal, Principal)  # noqa: S101 - HasScope let it through
        everything = bool(getattr(request.user, "is_superuser", False))
        registry = CollectorRegistry()
        registry.register(PolicyCollector(None if everything else principal.tenant))
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def page(request: HttpRequest) -> HttpResponse:
    """The view."""
    return Metrics.as_view()(request)

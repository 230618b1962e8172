"""The checks that every installation has: what the platform itself needs to work."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from healthchecks.models import HealthCheck
from healthchecks.spec import CheckSpec


def _default(name: str, kind: str, target: str = "", **columns: Any) -> CheckSpec:
    return CheckSpec(name=name, kind=kind, target=target, **columns)


CRITICAL = HealthCheck.Severity.CRITICAL.value
DEFAULT_CHECKS = (
    _default("database", "database", interval_seconds=10.0, severity=CRITICAL),
    _default("broker", "broker", interval_seconds=10.0, severity=CRITICAL),
    _default("redis", "redis", interval_seconds=10.0),
    _default("limits", "limits", interval_seconds=10.0),
    _default("coordinator", "coordinator_lease", interval_seconds=5.0, severity=CRITICAL),
    _default("watch", "watch_lease", interval_seconds=10.0),
    # A first start compiles kernels for half a minute before its worker takes a lease.
    _default(
        "workers-cpu", "worker_leases", "cpu", interval_seconds=5.0, fall=6, severity=CRITICAL
    ),
    _default("workers-io", "worker_leases", "io", interval_seconds=5.0, fall=6, severity=CRITICAL),
    _default("queue-depth", "queue_depth", severity="info"),
    _default("oldest-task", "oldest_age"),
    _default("disk", "disk"),
    _default("memory", "memory", interval_seconds=10.0),
)


def is_default(check: HealthCheck) -> bool:
    """Whether deleting it would bring it back."""
    return check.tenant_id is None and check.name in {spec.name for spec in DEFAULT_CHECKS}


def ensure_default_checks() -> list[HealthCheck]:
    """Write the default checks that are missing and return them; edited ones stay as they are."""
    wanted = {spec.name: spec for spec in DEFAULT_CHECKS}
    have = set(
        HealthCheck.objects.filter(tenant=None, name__in=wanted).values_list("name", flat=True)
    )
    rows = [
        HealthCheck(trusted=True, **asdict(spec))
        for name, spec in wanted.items()
        if name not in have
    ]
    # Two processes may start at once: the unique name decides, and the other is content.
    HealthCheck.objects.bulk_create(rows, ignore_conflicts=True)
    return rows

"""Worker processes, leases and counters: what the platform says about itself."""

from __future__ import annotations

from datetime import datetime

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from ansf_platform.accounts.administration import EVERYBODY, ReadOnly, ScopedAdmin
from ansf_platform.keyset import KeysetAdmin
from coordination.models import Counter, Lease, WorkerNode


def runs_on(until: datetime) -> bool:
    """Whether a lease has not expired."""
    return until > timezone.now()


@admin.register(WorkerNode)
class WorkerNodeAdmin(ReadOnly, ScopedAdmin, KeysetAdmin):
    """Worker processes; alive means that the lease runs."""

    kind = "worker"
    tenant_path = EVERYBODY
    list_display = (
        "name",
        "pool",
        "alive",
        "concurrency",
        "free_slots",
        "stuck",
        "draining",
        "beat_at",
        "started_at",
        "stopped_at",
    )
    list_filter = ("pool", "draining")
    search_fields = ("=name", "=hostname")

    @admin.display(boolean=True, description="alive")
    def alive(self, node: WorkerNode) -> bool:
        return node.stopped_at is None and runs_on(node.lease_expires_at)


@admin.register(Lease)
class LeaseAdmin(ReadOnly, ScopedAdmin):
    """Who leads what, and until when."""

    kind = "lease"
    tenant_path = EVERYBODY
    list_display = ("name", "holder", "term", "held", "elected_at", "renewed_at", "expires_at")

    @admin.display(boolean=True, description="held")
    def held(self, lease: Lease) -> bool:
        return runs_on(lease.expires_at)


@admin.register(Counter)
class CounterAdmin(ReadOnly, ScopedAdmin):
    """Totals that outlive processes."""

    kind = "counter"
    tenant_path = EVERYBODY
    list_display = ("name", "total")

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("name",)

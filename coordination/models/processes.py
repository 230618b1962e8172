"""Rows of processes: workers, leases, totals."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from coordination.models.vocabulary import Pool


class WorkerNode(models.Model):
    """One worker process tree and its last two beats. Alive means: the lease has not expired."""

    name = models.CharField(max_length=200)
    boot_id = models.UUIDField(unique=True)
    pool = models.CharField(max_length=3, choices=Pool.choices)
    hostname = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    concurrency = models.PositiveIntegerField()
    free_slots = models.PositiveIntegerField(default=0)
    idle_beats = models.PositiveIntegerField(
        default=0, help_text="Beats in a row with a free slot."
    )
    stuck = models.PositiveIntegerField(default=0, help_text="Threads past their hard limit.")
    draining = models.BooleanField(default=False)
    claims = models.JSONField(default=list)
    previous_claims = models.JSONField(default=list)
    beat_at = models.DateTimeField()
    previous_beat_at = models.DateTimeField()
    lease_expires_at = models.DateTimeField()
    started_at = models.DateTimeField()
    stopped_at = models.DateTimeField(null=True)
    rss_bytes = models.BigIntegerField(null=True)
    handlers = models.JSONField(default=list)
    versions = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["lease_expires_at"], name="worker_open", condition=Q(stopped_at=None)
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Lease(models.Model):
    """Who leads. The term grows with every change of leader and fences its writes."""

    name = models.CharField(max_length=50, primary_key=True)
    holder = models.CharField(max_length=200)
    term = models.BigIntegerField(default=0)
    elected_at = models.DateTimeField()
    renewed_at = models.DateTimeField()
    steady_since = models.DateTimeField(help_text="Renewed without a gap since then.")
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} term {self.term} by {self.holder}"


class Counter(models.Model):
    """A total that outlives processes: fenced results, reconciled tasks, lost claims."""

    name = models.CharField(max_length=50, primary_key=True)
    total = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} {self.total}"

"""Rows of decisions: which model was chosen for a call, and why."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from ansf_platform.accounts.models import Tenant
from gateway.models.configuration import TaskClass


class RouteRecord(models.Model):
    """A decision of the router; the latest are kept (:mod:`gateway.routes`)."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    request_id = models.CharField(max_length=100)
    at = models.DateTimeField(default=timezone.now)
    policy = models.CharField(max_length=100, blank=True)
    task_class = models.CharField(max_length=8, choices=TaskClass.choices, default=TaskClass.SIMPLE)
    model = models.CharField(max_length=100)
    provider = models.CharField(max_length=50)
    explored = models.BooleanField(default=False, help_text="Chosen to learn, not as the best.")
    cheap_suffices = models.FloatField(
        null=True, help_text="Learned probability that the cheap model answers as well."
    )
    expected_cost = models.BigIntegerField(default=0, help_text="Nano-dollars.")
    detail = models.JSONField(
        default=dict, help_text="Tokens expected, reasons, models refused and why, fallbacks."
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["tenant", "-id"], name="routes_by_tenant"),
            models.Index(fields=["tenant", "request_id"], name="routes_by_request"),
        ]

    def __str__(self) -> str:
        return self.request_id

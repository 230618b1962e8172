"""Rows of health checks: what to measure, what was measured, when the state changed."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from ansf_platform.accounts.models import Tenant
from healthchecks.monitor import State

STATES = [(state.value, state.value) for state in State]
MEASURED_STATES = [choice for choice in STATES if choice[0] != State.UNKNOWN]
LONGEST_RUN = 20  # readings in a row that may be asked for; as many are always kept
RUN_RANGE = [MinValueValidator(1), MaxValueValidator(LONGEST_RUN)]
MESSAGE_LENGTH = 500


class HealthCheck(models.Model):
    """Something measured again and again; without a tenant it belongs to the platform."""

    class Severity(models.TextChoices):
        INFO = "info"
        WARNING = "warning"
        CRITICAL = "critical"

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, null=True, blank=True, related_name="+",
        help_text="Empty: the platform's own.",
    )  # fmt: skip
    name = models.SlugField(max_length=100)
    kind = models.CharField(max_length=30, help_text="Name of a probe.")
    target = models.CharField(max_length=500, blank=True)
    interval_seconds = models.FloatField(
        default=30.0, validators=[MinValueValidator(1.0), MaxValueValidator(86_400.0)]
    )
    timeout_seconds = models.FloatField(
        default=5.0, validators=[MinValueValidator(0.1), MaxValueValidator(60.0)]
    )
    rise = models.PositiveSmallIntegerField(default=2, validators=RUN_RANGE)
    fall = models.PositiveSmallIntegerField(default=3, validators=RUN_RANGE)
    severity = models.CharField(max_length=8, choices=Severity.choices, default=Severity.WARNING)
    enabled = models.BooleanField(default=True)
    params = models.JSONField(default=dict, blank=True, help_text="Thresholds of the probe.")
    trusted = models.BooleanField(
        default=False, editable=False,
        help_text="Last written by a superuser or a command: may reach private addresses.",
    )  # fmt: skip
    created_at = models.DateTimeField(auto_now_add=True)
    counted_since = models.DateTimeField(
        default=timezone.now, editable=False,
        help_text="Readings before it measured something else and count no more.",
    )  # fmt: skip
    revision = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "name"], name="one_check_per_name"),
            models.UniqueConstraint(
                fields=["name"], condition=Q(tenant=None), name="one_platform_check_per_name"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Reading(models.Model):
    """One measurement. Bounded: see `recording.prune`."""

    health_check = models.ForeignKey(
        HealthCheck, on_delete=models.CASCADE, related_name="readings", db_index=False
    )
    at = models.DateTimeField(help_text="When the measurement began.")
    state = models.CharField(max_length=8, choices=MEASURED_STATES)
    value = models.FloatField(null=True)
    unit = models.CharField(max_length=20, blank=True)
    message = models.CharField(max_length=MESSAGE_LENGTH, blank=True)
    duration_ms = models.FloatField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["health_check", "-id"], name="reading_by_check"),
        ]

    def __str__(self) -> str:
        return f"{self.state} at {self.at:%Y-%m-%d %H:%M:%S}"


class Flip(models.Model):
    """A change of state. The newest one of a check is its state."""

    health_check = models.ForeignKey(
        HealthCheck, on_delete=models.CASCADE, related_name="flips", db_index=False
    )
    at = models.DateTimeField()
    before = models.CharField(max_length=8, choices=STATES)
    after = models.CharField(max_length=8, choices=STATES)
    reason = models.CharField(max_length=MESSAGE_LENGTH)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["health_check", "-id"], name="flip_by_check"),
        ]

    def __str__(self) -> str:
        return f"{self.before} → {self.after}"

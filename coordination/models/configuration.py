"""Rows that people write: swarms, agents, task definitions, schedules."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from ansf_platform.accounts.models import Tenant
from coordination.models.naming import refuse_unknown
from coordination.models.vocabulary import PRIORITY_RANGE, Pool


class Swarm(models.Model):
    """A team of agents with its share of the workers."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    slug = models.SlugField(max_length=50)
    name = models.CharField(max_length=100, blank=True)
    weight = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text="Share of the workers relative to other swarms with waiting tasks.",
    )
    agents_min = models.PositiveSmallIntegerField(default=1)
    agents_max = models.PositiveSmallIntegerField(default=8)
    capabilities = models.JSONField(default=list, blank=True)
    paused = models.BooleanField(default=False)
    limits = models.JSONField(default=list, blank=True, help_text="Names of policies.")
    budget = models.JSONField(default=dict, blank=True)
    aging_seconds = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.0)],
        help_text="Waited seconds per step of priority; 0: no aging; empty: the platform's.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    revision = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["slug"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "slug"], name="one_swarm_per_slug"),
            models.CheckConstraint(condition=Q(weight__gte=1), name="swarm_weight_positive"),
            models.CheckConstraint(
                condition=Q(agents_min__lte=F("agents_max")), name="swarm_agents_min_le_max"
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    def clean(self) -> None:
        """Refuse names that no policy has."""
        stored = Swarm.objects.filter(pk=self.pk).values_list("limits", flat=True).first()
        refuse_unknown(self.limits, self.tenant_id, stored or ())


class Agent(models.Model):
    """A logical executor of a swarm; a slot of it holds one envelope."""

    swarm = models.ForeignKey(Swarm, on_delete=models.CASCADE, related_name="agents")
    name = models.SlugField(max_length=50)
    role = models.CharField(max_length=50, blank=True)
    capabilities = models.JSONField(default=list, blank=True)
    slots = models.PositiveSmallIntegerField(default=1, validators=[MinValueValidator(1)])
    model_settings = models.JSONField(default=dict, blank=True)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    revision = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["swarm", "name"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["swarm", "name"], name="one_agent_per_name"),
        ]

    def __str__(self) -> str:
        return f"{self.swarm}/{self.name}"


class TaskDefinition(models.Model):
    """What a kind of task is: handler, payload schema, limits. A version never changes."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=100)
    version = models.PositiveIntegerField(default=1)
    handler = models.CharField(max_length=200, help_text="Name of a registered Celery task.")
    pool = models.CharField(max_length=3, choices=Pool.choices, default=Pool.CPU)
    schema = models.JSONField(default=dict, blank=True, help_text="JSON Schema of payloads.")
    default_swarm = models.ForeignKey(
        Swarm, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    default_priority = models.PositiveSmallIntegerField(default=5, validators=PRIORITY_RANGE)
    time_limit_seconds = models.FloatField(default=300.0, validators=[MinValueValidator(0.1)])
    max_attempts = models.PositiveSmallIntegerField(
        default=3, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    backoff_seconds = models.FloatField(default=1.0, validators=[MinValueValidator(0.0)])
    backoff_cap_seconds = models.FloatField(default=300.0, validators=[MinValueValidator(0.0)])
    capabilities = models.JSONField(
        default=list, blank=True, help_text="What an agent must be capable of."
    )
    limits = models.JSONField(default=list, blank=True, help_text="Names of policies.")
    cache = models.JSONField(default=dict, blank=True, help_text="Cache policy.")
    idempotent = models.BooleanField(default=False)
    replication = models.PositiveSmallIntegerField(default=1)
    memory_mb = models.PositiveIntegerField(null=True, blank=True)
    description = models.TextField(blank=True)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["name", "-version"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["tenant", "name", "version"], name="one_definition_per_version"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"

    def clean(self) -> None:
        """Refuse names that no policy has."""
        versions = TaskDefinition.objects.filter(tenant=self.tenant_id, name=self.name)
        stored = versions.order_by("-version").values_list("limits", flat=True).first()
        refuse_unknown(self.limits, self.tenant_id, stored or ())


class Schedule(models.Model):
    """A task submitted again and again, by cron expression or interval."""

    class CatchUp(models.TextChoices):
        SKIP = "skip", "skip what was missed"
        LATEST = "latest", "fire once for all that was missed"
        ALL = "all", "fire once for each that was missed"

    class Overlap(models.TextChoices):
        ALLOW = "allow", "start beside one that still runs"
        SKIP = "skip", "leave out while one still runs"

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    name = models.SlugField(max_length=100)
    definition_name = models.CharField(max_length=100)
    swarm = models.ForeignKey(
        Swarm, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    payload = models.JSONField(default=dict, blank=True)
    priority = models.PositiveSmallIntegerField(null=True, blank=True, validators=PRIORITY_RANGE)
    cron = models.CharField(max_length=100, blank=True)
    interval_seconds = models.FloatField(null=True, blank=True, validators=[MinValueValidator(1.0)])
    timezone = models.CharField(max_length=50, default="UTC")
    catch_up = models.CharField(max_length=6, choices=CatchUp.choices, default=CatchUp.LATEST)
    overlap = models.CharField(max_length=5, choices=Overlap.choices, default=Overlap.SKIP)
    enabled = models.BooleanField(default=True)
    next_at = models.DateTimeField(null=True, db_index=True, editable=False)
    last_error = models.CharField(max_length=300, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    revision = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "name"], name="one_schedule_per_name"),
            models.CheckConstraint(
                condition=(Q(cron="") & Q(interval_seconds__isnull=False))
                | (~Q(cron="") & Q(interval_seconds__isnull=True)),
                name="schedule_cron_or_interval",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Firing(models.Model):
    """That a schedule fired for a due time: unique, so it cannot fire twice."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="firings")
    due_at = models.DateTimeField()
    fired_at = models.DateTimeField(default=timezone.now)
    task_id = models.UUIDField(null=True, help_text="Empty when left out by the overlap policy.")
    skipped = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-due_at"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["schedule", "due_at"], name="one_firing_per_due_time"),
        ]

    def __str__(self) -> str:
        return f"{self.schedule} at {self.due_at}"

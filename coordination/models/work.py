"""Rows of work: tasks, their attempts and bodies, runs, lanes.

Hot rows (Task, Attempt, LiveKey, edges) carry no database-level foreign keys: checking them
locks one shared parent row per inserted task. Deleting a swarm or a definition that tasks refer
to is refused where it is asked for.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from ansf_platform.accounts.models import Tenant
from coordination.ids import uuid7
from coordination.models.configuration import Agent, Swarm, TaskDefinition
from coordination.models.processes import WorkerNode
from coordination.models.vocabulary import PRIORITY_RANGE, Outcome, Pool, Status


def unchecked(to: type[models.Model], **options: Any) -> models.ForeignKey[Any, Any]:
    """A reference without index and without database constraint, for hot rows."""
    return models.ForeignKey(
        to, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False,
        related_name="+", **options,
    )  # fmt: skip


class Run(models.Model):
    """A graph of tasks submitted together. Its state is derived from its tasks."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=100)
    nodes_total = models.PositiveIntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} {self.id}"


class Lane(models.Model):
    """An ordering key: its tasks run one after another, in the order of submission."""

    class OnDead(models.TextChoices):
        HALT = "halt"
        SKIP = "skip"

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    key = models.CharField(max_length=200)
    next_seq = models.BigIntegerField(default=1)
    on_dead = models.CharField(max_length=4, choices=OnDead.choices, default=OnDead.HALT)
    halted = models.BooleanField(default=False)
    revision = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["key"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "key"], name="one_lane_per_key"),
        ]

    def __str__(self) -> str:
        return self.key


class Task(models.Model):
    """One unit of work and the timestamps of every step of its life."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = unchecked(Tenant)
    definition = unchecked(TaskDefinition)
    swarm = unchecked(Swarm)
    pool = models.CharField(max_length=3, choices=Pool.choices)
    priority = models.PositiveSmallIntegerField(validators=PRIORITY_RANGE)
    rank = models.FloatField(default=0.0, help_text="Longest remaining path; orders equals.")
    status = models.CharField(max_length=10, choices=Status.choices)
    reason = models.CharField(max_length=100, blank=True, help_text="Why it ended or waits.")
    fence = models.BigIntegerField(default=0)
    claim = models.UUIDField(null=True)
    envelope = models.UUIDField(null=True, help_text="Id of the message that carries it.")
    solo = models.BooleanField(default=False, help_text="Travels, or runs, alone.")
    attempt = models.PositiveIntegerField(default=0, help_text="Attempts charged so far.")
    waiting_on = models.PositiveIntegerField(default=0)
    run = unchecked(Run, null=True)
    lane = unchecked(Lane, null=True)
    agent = unchecked(Agent, null=True)
    worker = unchecked(WorkerNode, null=True)
    unique_key = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null: has none
    limit_set = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Id of a LimitSet; 0: no policies when it was submitted."
    )
    payload = models.JSONField(null=True, help_text="Inline up to 1 kB, else in TaskBody.")
    payload_bytes = models.PositiveIntegerField(default=0)
    has_references = models.BooleanField(default=False, help_text="Payload holds $from.")
    result = models.JSONField(null=True)
    result_bytes = models.PositiveIntegerField(default=0)
    not_before = models.DateTimeField(null=True)
    deadline = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True, help_text="When the clock must next move it.")
    created_at = models.DateTimeField(default=timezone.now)
    ready_at = models.DateTimeField(null=True)
    dispatched_at = models.DateTimeField(null=True)
    claimed_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["pool", "swarm", "priority", "limit_set", "ready_at"],
                name="task_ready",
                condition=Q(status=Status.READY),
            ),
            models.Index(
                fields=["pool", "swarm", "priority", "limit_set", "-rank"],
                name="task_ready_ranked",
                condition=Q(status=Status.READY, rank__gt=0),
            ),
            models.Index(
                fields=["due_at"],
                name="task_due",
                condition=Q(due_at__isnull=False, status__in=["scheduled", "blocked", "ready"]),
            ),
            models.Index(
                fields=["status", "pool"],
                name="task_in_flight",
                condition=Q(status__in=["dispatched", "running", "blocked"]),
            ),
            models.Index(fields=["tenant", "-id"], name="task_by_tenant"),
            models.Index(
                fields=["tenant", "-id"], name="task_dead", condition=Q(status=Status.DEAD)
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class TaskBody(models.Model):
    """A payload or result above 1 kB, written once; above 64 kB it names a blob."""

    class Kind(models.TextChoices):
        PAYLOAD = "payload"
        RESULT = "result"

    task_id = models.UUIDField()
    kind = models.CharField(max_length=7, choices=Kind.choices)
    content = models.JSONField(null=True)
    blob_sha256 = models.CharField(max_length=64, null=True)  # noqa: DJ001 - null: inline

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["task_id", "kind"], name="one_body_per_kind"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["blob_sha256"],
                name="body_by_blob",
                condition=Q(blob_sha256__isnull=False),
            ),
        ]
        verbose_name_plural = "task bodies"

    def __str__(self) -> str:
        return f"{self.kind} of {self.task_id}"


class Blob(models.Model):
    """A value above 64 kB, compressed, stored once under its digest."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    size = models.PositiveIntegerField(help_text="Bytes before compression.")
    data = models.BinaryField(help_text="zlib; empty when the store is a directory.")
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.sha256


class Attempt(models.Model):
    """One execution of a task, written when it ends, by the one who ended it."""

    task_id = models.UUIDField()
    fence = models.BigIntegerField()
    number = models.PositiveIntegerField(help_text="Which attempt it was, from 1.")
    claim = models.UUIDField(null=True)
    definition = unchecked(TaskDefinition)
    swarm = unchecked(Swarm)
    agent = unchecked(Agent, null=True)
    worker = unchecked(WorkerNode, null=True)
    outcome = models.CharField(max_length=9, choices=Outcome.choices)
    charged = models.BooleanField(default=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    wait_ms = models.FloatField(null=True, help_text="Ready to started.")
    run_ms = models.FloatField(null=True)
    error_type = models.CharField(max_length=200, blank=True)
    error_message = models.TextField(blank=True)
    traceback = models.TextField(blank=True)
    progress = models.FloatField(null=True, help_text="0 to 1.")
    note = models.CharField(max_length=200, blank=True)
    log = models.TextField(blank=True, help_text="At most 64 kB.")

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["task_id", "fence"], name="one_attempt_per_fence"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.task_id}"


class LiveKey(models.Model):
    """A unique key held by a task that has not ended."""

    tenant = unchecked(Tenant)
    key = models.CharField(max_length=200)
    task_id = models.UUIDField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "key"], name="one_live_task_per_key"),
        ]

    def __str__(self) -> str:
        return self.key


class RunNode(models.Model):
    """The name of a task in its run; nodes of one group keep their order."""

    run = models.ForeignKey(
        Run, on_delete=models.CASCADE, related_name="nodes", db_constraint=False, db_index=False
    )
    name = models.CharField(max_length=100)
    group = models.CharField(max_length=100, blank=True)
    position = models.PositiveIntegerField()
    task_id = models.UUIDField()

    class Meta:
        ordering: ClassVar[list[str]] = ["run", "position"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["run", "name"], name="one_node_per_name"),
        ]

    def __str__(self) -> str:
        return self.name


class Edge(models.Model):
    """A child waits for a parent: for its success, or (``always``) for its end."""

    class When(models.TextChoices):
        SUCCESS = "success"
        ALWAYS = "always"

    run = unchecked(Run)
    parent_id = models.UUIDField()
    child_id = models.UUIDField(db_index=True)
    when = models.CharField(max_length=7, choices=When.choices, default=When.SUCCESS)
    resolved = models.BooleanField(default=False, help_text="The child no longer waits for it.")

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["parent_id", "child_id"], name="one_edge_per_pair"),
        ]

    def __str__(self) -> str:
        return f"{self.parent_id} → {self.child_id}"


class LaneEntry(models.Model):
    """The place of a task that has not ended in its lane."""

    lane = models.ForeignKey(Lane, on_delete=models.CASCADE, related_name="+", db_index=False)
    seq = models.BigIntegerField()
    task_id = models.UUIDField(unique=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["lane", "seq"], name="one_place_per_seq"),
        ]
        verbose_name_plural = "lane entries"

    def __str__(self) -> str:
        return f"{self.lane_id}:{self.seq}"

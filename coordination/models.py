"""The rows of coordination, their states and the moves between states.

Hot rows (Task, Attempt, LiveKey, edges) carry no database-level foreign keys: checking them
locks one shared parent row per inserted task. Deleting a swarm or a definition that tasks refer
to is refused where it is asked for.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from ansf_platform.accounts.models import Tenant
from coordination.ids import uuid7


class Status(models.TextChoices):
    """Where a task stands. There is no ``failed``: that is an attempt's outcome."""

    SCHEDULED = "scheduled"
    BLOCKED = "blocked"
    READY = "ready"
    DISPATCHED = "dispatched"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    DEAD = "dead"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Outcome(models.TextChoices):
    """How an attempt ended (``running`` while its log is already being kept)."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETRIED = "retried"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"


TERMINAL = frozenset({Status.SUCCEEDED, Status.DEAD, Status.CANCELLED, Status.EXPIRED})
WAITING = frozenset({Status.SCHEDULED, Status.BLOCKED, Status.READY})
IN_FLIGHT = frozenset({Status.DISPATCHED, Status.RUNNING})

TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.SCHEDULED: frozenset({Status.READY, Status.CANCELLED, Status.EXPIRED}),
    Status.BLOCKED: frozenset({Status.READY, Status.SCHEDULED, Status.CANCELLED, Status.EXPIRED}),
    Status.READY: frozenset({Status.DISPATCHED, Status.CANCELLED, Status.EXPIRED}),
    Status.DISPATCHED: frozenset({Status.RUNNING, Status.READY, Status.CANCELLED, Status.EXPIRED}),
    Status.RUNNING: frozenset(
        {
            Status.SUCCEEDED,
            Status.SCHEDULED,  # a retry, after its backoff
            Status.READY,  # given back or taken back, uncharged
            Status.DEAD,
            Status.CANCELLED,
            Status.EXPIRED,
        }
    ),
    # Ended tasks come back only by an operator's replay.
    Status.DEAD: frozenset({Status.READY, Status.BLOCKED}),
    Status.CANCELLED: frozenset({Status.READY, Status.BLOCKED}),
    Status.EXPIRED: frozenset({Status.READY, Status.BLOCKED}),
    Status.SUCCEEDED: frozenset(),
}

PRIORITY_RANGE = [MinValueValidator(0), MaxValueValidator(9)]


class Pool(models.TextChoices):
    """The class of worker processes that runs a definition."""

    CPU = "cpu"
    IO = "io"


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
    limit_keys = models.JSONField(null=True)
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
                fields=["pool", "swarm", "priority", "ready_at"],
                name="task_ready",
                condition=Q(status=Status.READY),
            ),
            models.Index(
                fields=["pool", "swarm", "priority", "-rank"],
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
                condition=Q(status__in=["dispatched", "running"]),
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

    def __str__(self) -> str:
        return f"{self.lane_id}:{self.seq}"


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


class Counter(models.Model):
    """A total that outlives processes: fenced results, reconciled tasks, lost claims."""

    name = models.CharField(max_length=50, primary_key=True)
    total = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} {self.total}"

"""The steps of a task's life, each one call; times are planted, never waited for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

from coordination import bodies, handlers, lifecycle, rows, submit
from coordination.leadership import Leadership
from coordination.lifecycle import Finished
from coordination.lifecycle.leading import Pick
from coordination.models import Attempt, Lease, Outcome, Status, Task, WorkerNode

NO_TERM = None  # "whoever leads": steps that are not about leadership


def now():
    return rows.database_now()


def ago(seconds):
    """A moment that many seconds before the database's now."""
    return now() - timedelta(seconds=seconds)


def get(task_id) -> Task:
    return Task.objects.get(id=task_id)


def status(task_id) -> str:
    return get(task_id).status


def plant(task_id, **columns) -> None:
    """Change a row behind the lifecycle's back."""
    assert Task.objects.filter(id=task_id).update(**columns) == 1


def ready(definition="accept", payload=None, **options) -> UUID:
    return submit(definition, payload or {}, **options).task_id


def worker(pool="cpu", *, lease=6.0, **columns) -> WorkerNode:
    """A worker that has just beaten; a negative lease is one that ran out."""
    moment = now()
    defaults = {
        "name": f"{pool}-{uuid4().hex[:8]}",
        "boot_id": uuid4(),
        "pool": pool,
        "hostname": "here",
        "pid": 1,
        "concurrency": 2,
        "free_slots": 2,
        "beat_at": moment,
        "previous_beat_at": moment - timedelta(seconds=2),
        "lease_expires_at": moment + timedelta(seconds=lease),
        "started_at": moment - timedelta(seconds=60),
        "handlers": sorted(handlers.bound_names()),
    }
    return WorkerNode.objects.create(**{**defaults, **columns})


def dispatch(*ids, term=NO_TERM, envelope=None) -> dict[UUID, int]:
    """Mark tasks as dispatched in one envelope; their fences."""
    envelope = envelope or uuid4()
    return lifecycle.dispatch(term, [Pick(task, envelope, None) for task in ids])


@dataclass
class Grip:
    """A worker's claim on tasks."""

    claim: UUID
    worker: WorkerNode
    fences: dict[UUID, int]
    claimed: list = field(default_factory=list)

    def finish(self, *ids, **columns):
        """Report these (default: all) as ended; the lifecycle's report."""
        return lifecycle.finish(
            self.claim,
            [finished(task, self.fences[task], **columns) for task in ids or self.fences],
        )

    def give_back(self, *ids, **options):
        pairs = [(task, self.fences[task]) for task in ids or self.fences]
        return lifecycle.give_back(self.claim, pairs, **options)


def claim(*ids, by=None) -> Grip:
    """Dispatch tasks and claim them in one envelope."""
    fences = dispatch(*ids)
    grip = Grip(uuid4(), by or worker(), fences)
    grip.claimed = lifecycle.claim(grip.claim, grip.worker.pk, list(fences.items()))
    return grip


def finished(
    task_id, fence, status=Status.SUCCEEDED, outcome=None, result=None, **columns
) -> Finished:
    if outcome is None:
        outcome = Outcome.SUCCEEDED if status == Status.SUCCEEDED else Outcome.FAILED
    encoded = bodies.encode(result) if status == Status.SUCCEEDED else None
    timed = {"started_ago": 0.2, "ended_ago": 0.1, **columns}
    return Finished(task_id, fence, status, outcome, result=encoded, **timed)


def retry(task_id, retry_in=60.0, **columns):
    return claim(task_id).finish(status=Status.SCHEDULED, retry_in=retry_in, **columns)


def succeed(*ids, **columns):
    return claim(*ids).finish(**columns)


def die(*ids):
    return claim(*ids).finish(status=Status.DEAD, reason="RuntimeError", error_type="RuntimeError")


def outcomes(task_id) -> list[str]:
    return list(Attempt.objects.filter(task_id=task_id).order_by("fence").values_list(
        "outcome", flat=True))  # fmt: skip


def lead(holder="one", *, steady=False) -> Leadership:
    """Become the leader; `steady` for long enough to judge."""
    leadership = Leadership("coordinator", holder)
    assert leadership.acquire_or_renew() is not None
    if steady:
        Lease.objects.update(steady_since=ago(60))
    return leadership


def lease_runs_out() -> None:
    Lease.objects.update(expires_at=ago(1))

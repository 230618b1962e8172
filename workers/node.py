"""This worker's row: registered at boot, renewed by its beat, closed at the end."""

from __future__ import annotations

import os
import platform
import socket
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from coordination import sql

LEASE_SECONDS = 6.0
BEAT_SECONDS = 2.0

_REGISTER = """
INSERT INTO coordination_workernode (
    name, boot_id, pool, hostname, pid, concurrency, free_slots, idle_beats, stuck, draining,
    claims, previous_claims, beat_at, previous_beat_at, lease_expires_at, started_at, rss_bytes,
    handlers, versions)
VALUES (
    %(name)s, %(boot)s, %(pool)s, %(host)s, %(pid)s, %(concurrency)s, 0, 0, 0, %(no)s,
    %(none)s, %(none)s, @now, @now, @after(%(lease)s), @now, NULL, %(handlers)s, %(versions)s)
RETURNING id
"""
_BEAT = """
UPDATE coordination_workernode SET
    previous_claims = claims, claims = %(claims)s, previous_beat_at = beat_at, beat_at = @now,
    lease_expires_at = @after(%(lease)s), free_slots = %(free)s,
    idle_beats = CASE WHEN %(free)s > 0 THEN idle_beats + 1 ELSE 0 END,
    rss_bytes = %(rss)s, stuck = %(stuck)s, draining = %(draining)s
WHERE id = %(worker)s AND stopped_at IS NULL
"""
_TO_CANCEL = """
SELECT id, fence, claim, @epoch(@now) - @epoch(cancel_requested_at) AS asked_ago
FROM coordination_task
WHERE status = 'running' AND worker_id = %(worker)s AND cancel_requested_at IS NOT NULL
"""
_GOODBYE = """
UPDATE coordination_workernode SET stopped_at = @now, lease_expires_at = @now, free_slots = 0
WHERE id = %(worker)s
"""


@dataclass(frozen=True, slots=True)
class Node:
    """Who this worker is, known to its main process and, by inheritance, to its children."""

    id: int
    name: str
    pool: str
    concurrency: int
    directory: Path
    """Where children leave logs and find cancellations, one file per task."""
    cancelled: Path = field(init=False)
    """A file per execution that is to stop."""
    limits: Path = field(init=False)
    """A file per child that says when it must have finished what it does."""
    logs: Path = field(init=False)
    """A file per running attempt that logged or reported progress."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "cancelled", self.directory / "cancelled")
        object.__setattr__(self, "limits", self.directory / "limits")
        object.__setattr__(self, "logs", self.directory / "logs")


def register(pool: str, concurrency: int, handlers: Sequence[str], state_dir: Path) -> Node:
    """Write this worker's row with a fresh lease and make its directory."""
    boot = uuid.uuid4()
    name = f"{pool}-{boot.hex[:8]}@{socket.gethostname()}"
    row = sql.fetch(
        _REGISTER,
        {
            "name": name,
            "boot": boot,
            "pool": pool,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "concurrency": concurrency,
            "no": False,
            "none": [],
            "lease": LEASE_SECONDS,
            "handlers": sorted(handlers),
            "versions": {
                "python": platform.python_version(),
                **{name: version(name) for name in ("celery", "kombu", "Django")},
            },
        },
    )[0]
    node = Node(row["id"], name, pool, concurrency, state_dir / "workers" / boot.hex)
    for directory in (node.cancelled, node.limits, node.logs):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return node


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a beat says."""

    claims: Sequence[uuid.UUID]
    free: int
    rss_bytes: int
    stuck: int = 0
    draining: bool = False


@dataclass(frozen=True, slots=True)
class ToCancel:
    """What a beat's answer brings: an execution to stop, and how long ago that was asked."""

    flag: str
    claim: uuid.UUID
    asked_ago: float


def beat(node: Node, pulse: Pulse) -> list[ToCancel]:
    """Renew the lease and name the claims; the tasks to cancel."""
    sql.change(
        _BEAT,
        {
            "worker": node.id,
            "claims": [claim.hex for claim in pulse.claims],
            "lease": LEASE_SECONDS,
            "free": pulse.free,
            "rss": pulse.rss_bytes,
            "stuck": pulse.stuck,
            "draining": pulse.draining,
        },
    )
    rows = sql.fetch(_TO_CANCEL, {"worker": node.id})
    return [
        ToCancel(
            flag_name(sql.as_uuid(row["id"]), row["fence"]),
            sql.as_uuid(row["claim"]),
            row["asked_ago"],
        )
        for row in rows
    ]


def flag_name(task_id: uuid.UUID, fence: int) -> str:
    """The file that tells one execution of a task to stop: a replay starts without it."""
    return f"{task_id.hex}-{fence}"


def say_goodbye(node: Node) -> None:
    """Give up the lease at once: whatever is still claimed is taken back without waiting."""
    sql.change(_GOODBYE, {"worker": node.id})

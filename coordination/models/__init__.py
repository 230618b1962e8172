"""The rows of coordination, their states and the moves between states.

``vocabulary`` holds statuses and TRANSITIONS, ``configuration`` what people write,
``processes`` who works and leads, ``work`` the tasks and all that hangs on them, ``limits`` who
asked for limited ones.
"""

from __future__ import annotations

from coordination.models.configuration import (
    Agent,
    Firing,
    Schedule,
    Swarm,
    TaskDefinition,
)
from coordination.models.limits import LimitSet
from coordination.models.processes import (
    Counter,
    Lease,
    WorkerNode,
)
from coordination.models.vocabulary import (
    IN_FLIGHT,
    PRIORITY_RANGE,
    TERMINAL,
    TRANSITIONS,
    WAITING,
    Outcome,
    Pool,
    Status,
)
from coordination.models.work import (
    Attempt,
    Blob,
    Edge,
    Lane,
    LaneEntry,
    LiveKey,
    Run,
    RunNode,
    Task,
    TaskBody,
)

__all__ = [
    "IN_FLIGHT",
    "PRIORITY_RANGE",
    "TERMINAL",
    "TRANSITIONS",
    "WAITING",
    "Agent",
    "Attempt",
    "Blob",
    "Counter",
    "Edge",
    "Firing",
    "Lane",
    "LaneEntry",
    "Lease",
    "LimitSet",
    "LiveKey",
    "Outcome",
    "Pool",
    "Run",
    "RunNode",
    "Schedule",
    "Status",
    "Swarm",
    "Task",
    "TaskBody",
    "TaskDefinition",
    "WorkerNode",
]

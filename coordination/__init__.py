"""Swarms, agents and the life of a task, from submission to a recorded result.

Promises
    A submission answered with success is never lost, and a task's effect is recorded at most
    once. Effect means: what is recorded in rows here, and what a handler writes inside
    ``with ctx.commit():``. Everything else a handler does happens at least once.

How
    * Rows are the truth. The ``ready`` row is the outbox; there is no other.
    * Only :mod:`coordination.lifecycle` changes a status, by compare-and-set.
    * One leader (a lease with a growing term) marks tasks as dispatched and commits, then
      publishes. A message that gets lost is noticed because nobody claims its tasks.
    * A claim is fenced: the fence grows at dispatch and whenever a task is taken back.

::

    submit ─▶ ready ──dispatch──▶ dispatched ──claim──▶ running ──finish──▶ succeeded
                ▲                     │ not claimed        │ worker or claim gone
                └─────────────────────┴────────────────────┘ fence + 1

When something fails
    broker away: work waits in ``ready``. Database away: nothing is judged lost until living
    workers had time to beat again. Leader paused: its statements name a term that is over.

``coordination.submit(...)`` and ``coordination.submit_many(...)`` join the caller's transaction.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coordination.submission import TaskRequest, submit, submit_many

__all__ = ["TaskRequest", "submit", "submit_many"]


def __getattr__(name: str) -> Any:
    # Models cannot be imported before Django's registry is ready, and this module is.
    if name in __all__:
        return getattr(importlib.import_module("coordination.submission"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)

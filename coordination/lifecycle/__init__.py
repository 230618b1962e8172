"""The only writer of a task's status.

Every move is a compare-and-set along :data:`coordination.models.TRANSITIONS`: a statement names
the statuses it may leave, and 0 rows means that somebody else won. Three parties move tasks:

* ``asking``: people and programs cancel and replay;
* ``leading`` and ``judging``: the leader dispatches, wakes what is due, takes back what was
  lost. Each of its statements names its term and holds off a change of leader while it runs;
* the worker claims and gives back (``claiming``) and finishes (``working``), fenced by
  (fence, claim).

What the end of a task sets free (key, children, lane) is settled in the same transaction
(``settling``). Statements on several tasks lock them in id order first.
"""

from __future__ import annotations

from coordination.lifecycle.asking import cancel, replay
from coordination.lifecycle.claiming import Claimed, claim, give_back
from coordination.lifecycle.judging import judge
from coordination.lifecycle.leading import (
    dispatch,
    drop,
    expire,
    take_back_unclaimed,
    take_back_unpublished,
    wake,
)
from coordination.lifecycle.working import Finished, Report, finish

__all__ = [
    "Claimed",
    "Finished",
    "Report",
    "cancel",
    "claim",
    "dispatch",
    "drop",
    "expire",
    "finish",
    "give_back",
    "judge",
    "replay",
    "take_back_unclaimed",
    "take_back_unpublished",
    "wake",
]

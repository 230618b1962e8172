"""How long work looks up: it tells how far it is, and stops when it is cancelled or out of time.

Outside a task, where nobody waits, looking up does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from workers.context import GiveUp, current_or_none

RESERVE_SECONDS = 1.0
"""Left of the time limit for what comes after the work: a limit that comes first kills it."""

Item = TypeVar("Item")


def look_up(where: str) -> None:
    """Raises Cancelled, and GiveUp when the time limit is near; `where` says how far it came."""
    context = current_or_none()
    if context is None:
        return
    context.check_cancelled()
    if context.seconds_left < RESERVE_SECONDS:
        raise GiveUp(f"the time limit came {where}: split the task, or raise its limit")


def told(done: int, total: int, what: str) -> None:
    """Progress, and a look up."""
    context = current_or_none()
    if context is not None:
        context.progress(done / total, f"{done} of {total} {what}")
    look_up(f"after {done} of {total} {what}")


def each(items: Sequence[Item], what: str) -> Iterator[Item]:
    """The items; before each one a look up."""
    for done, item in enumerate(items):
        told(done, len(items), what)
        yield item

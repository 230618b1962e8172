"""The Celery result backend of this project: results live in rows, progress in the attempt."""

from __future__ import annotations

from typing import Any

from celery import states
from celery.backends.base import DisabledBackend

from workers.context import current_or_none


class ProgressBackend(DisabledBackend):
    """Stores nothing; ``self.update_state`` of a handler becomes its progress.

    ``meta`` may hold ``current`` and ``total``, or ``progress`` (0 to 1); the state's name and
    ``meta["note"]`` become the note.
    """

    def store_result(
        self, task_id: str, result: Any, state: str, *args: Any, **kwargs: Any
    ) -> None:
        """Turn a custom state into progress; ignore the states of Celery itself."""
        context = current_or_none()
        if context is None or state in states.READY_STATES:
            return
        meta = result if isinstance(result, dict) else {}
        context.progress(_share(meta), f"{state} {meta.get('note', '')}".strip())


def _share(meta: dict[str, Any]) -> float | None:
    try:
        if meta.get("total"):
            return float(meta["current"]) / float(meta["total"])
        return float(meta["progress"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None

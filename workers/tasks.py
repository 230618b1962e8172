"""The Celery tasks of this project: the envelope, and the handlers that come with it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery import Task, shared_task

from ansf_platform.celery import ENVELOPE_TASK
from workers import boot, executor, handlers
from workers.claims import held

__all__ = ["EnvelopeTask", "envelope", "handlers"]


class EnvelopeTask(Task):  # type: ignore[type-arg]
    """The message that carries tasks."""

    Request = "workers.claims:EnvelopeRequest"


@shared_task(name=ENVELOPE_TASK, bind=True, base=EnvelopeTask, ignore_result=True)
def envelope(self: Any, definition: int, members: list[list[Any]]) -> None:
    """Run the members of an envelope that are still as they were dispatched."""
    claim = UUID(self.request.ansf_claim)
    pairs = [(UUID(task), int(fence)) for task, fence in members]
    try:
        executor.run_envelope(boot.this_node(), claim, definition, pairs)
    finally:
        # In a thread of the main process nothing that Celery fails to tell may keep a claim.
        held.drop(claim)

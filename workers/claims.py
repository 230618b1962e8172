"""The claims that this worker's main process holds: one per envelope it received.

A claim is made here, in the main process, for each delivery of a message. It is not the
message's id: a redelivered message must not inherit the claim of its first delivery.
"""

from __future__ import annotations

import os
import threading
import uuid
from typing import Any

import psutil
from celery.worker.request import Request


class Held:
    """Requests that were received and not yet acknowledged."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[uuid.UUID, EnvelopeRequest] = {}

    def add(self, claim: uuid.UUID, request: EnvelopeRequest) -> None:
        """Hold a claim from before its child can use it."""
        with self._lock:
            self._requests[claim] = request

    def drop(self, claim: uuid.UUID) -> None:
        """The envelope ended, one way or another."""
        with self._lock:
            self._requests.pop(claim, None)

    def forget_waiting(self) -> None:
        """Drop what was never given to a child: the connection it came over is gone."""
        with self._lock:
            self._requests = {c: r for c, r in self._requests.items() if r.begun}

    def claims(self) -> list[uuid.UUID]:
        """The claims somebody still works on: not those of children that died."""
        with self._lock:
            requests = dict(self._requests)
        return [claim for claim, request in requests.items() if request.alive()]

    def active(self) -> int:
        """How many slots are in use."""
        with self._lock:
            return sum(request.begun for request in self._requests.values())

    def child_of(self, claim: uuid.UUID) -> int | None:
        """The process that works on a claim."""
        with self._lock:
            request = self._requests.get(claim)
        return request.child if request is not None else None


held = Held()


class EnvelopeRequest(Request):
    """A received envelope; tells its child which claim to make."""

    def __init__(self, message: Any, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.claim = uuid.uuid4()
        self.request_dict["ansf_claim"] = self.claim.hex
        held.add(self.claim, self)

    @property
    def begun(self) -> bool:
        """Whether a child or thread took it."""
        return self.child is not None

    @property
    def child(self) -> int | None:
        """The process that took it (a thread's is this one)."""
        pid: Any = self.worker_pid
        return int(pid) if pid is not None else None

    def alive(self) -> bool:
        """Whether whoever took it still lives (a zombie does not)."""
        pid = self.child
        if pid is None or pid == os.getpid():
            return True
        try:
            return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def acknowledge(self) -> None:
        """The end of every envelope: done, failed, timed out or lost."""
        held.drop(self.claim)
        super().acknowledge()

    def reject(self, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - Celery's signature
        """Not expected with the settings of this project, but an end as well."""
        held.drop(self.claim)
        super().reject(requeue=requeue)

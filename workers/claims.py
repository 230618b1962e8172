"""The claims that this worker's main process holds: one per envelope it received.

A claim is made here, in the main process, for each delivery of a message. It is not the
message's id: a redelivered message must not inherit the claim of its first delivery.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from typing import Any

import psutil
from celery import bootsteps
from celery.worker.request import Request

STALE_SECONDS = 3600.0
EARLY_ACK_SECONDS = 1500.0  # RabbitMQ closes the channel of a message that waits half an hour


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
        """Drop what was never given to the pool: the connection it came over is gone.

        What was given is kept a while: Celery forgets which of it a child had begun already.
        """
        now = time.monotonic()
        with self._lock:
            for claim, request in list(self._requests.items()):
                if request.begun:
                    continue
                if request.given:
                    request.stale_at = request.stale_at or now + STALE_SECONDS
                else:
                    del self._requests[claim]

    def claims(self) -> list[uuid.UUID]:
        """The claims somebody still works on: not those of children that died."""
        now = time.monotonic()
        with self._lock:
            for claim, request in list(self._requests.items()):
                if request.stale_at is not None and not request.begun and request.stale_at < now:
                    del self._requests[claim]
            requests = dict(self._requests)
        return [claim for claim, request in requests.items() if request.alive()]

    def active(self) -> int:
        """How many slots are in use."""
        with self._lock:
            requests = list(self._requests.values())
        return sum(request.begun and request.alive() for request in requests)

    def acknowledge_old(self) -> None:
        """Acknowledge what has been worked on for long: leases keep it, not the broker.

        A closed channel would end the whole worker. To be called by any thread.
        """
        before = time.monotonic() - EARLY_ACK_SECONDS
        with self._lock:
            requests = list(self._requests.values())
        for request in requests:
            if request.received_at < before:
                request.acknowledge_early()

    def children(self) -> set[int]:
        """The processes that work on something."""
        with self._lock:
            pids = {request.child for request in self._requests.values()}
        return {pid for pid in pids if pid is not None}

    def child_of(self, claim: uuid.UUID) -> int | None:
        """The process that works on a claim."""
        with self._lock:
            request = self._requests.get(claim)
        return request.child if request is not None else None


held = Held()


class Reconnected(bootsteps.StartStopStep):
    """Runs whenever the worker begins to consume over a new connection."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        """Messages that waited here come again, with claims of their own."""
        held.forget_waiting()


class EnvelopeRequest(Request):
    """A received envelope; tells its child which claim to make."""

    def __init__(self, message: Any, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.claim = uuid.uuid4()
        self.received_at = time.monotonic()
        self.stale_at: float | None = None
        """When it is forgotten unless a child turns out to have it (monotonic)."""
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

    @property
    def given(self) -> bool:
        """Whether the pool got it, begun or not."""
        return vars(self).get("_apply_result") is not None  # absent from the stubs

    def on_accepted(self, pid: Any, time_accepted: float) -> None:
        """A child or thread took it, perhaps long after its connection was lost."""
        held.add(self.claim, self)
        super().on_accepted(pid, time_accepted)

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

    def acknowledge_early(self) -> None:
        """Tell the broker that it may forget the message; its claim is still held."""
        super().acknowledge()

    def reject(self, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - Celery's signature
        """Not expected with the settings of this project, but an end as well."""
        held.drop(self.claim)
        super().reject(requeue=requeue)

"""The beat: a thread of the worker's main process, independent of Celery's event loop.

Celery's own timers stand still while it reconnects to a broker, and a worker that is cut off
from the broker still works: its lease must not run out. Forking waits until no beat is under
way, so that a child never inherits a lock that the beat holds.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import psutil
from django.db import DatabaseError, InterfaceError, connection, connections

from ansf_platform.text import made_storable
from coordination import lifecycle, sql
from coordination.lifecycle import Finished
from coordination.models import Outcome, Status
from workers import journal, limits, slots
from workers.claims import held
from workers.node import BEAT_SECONDS, Node, Pulse, ToCancel, beat, say_goodbye

logger = logging.getLogger(__name__)

CANCEL_GRACE_SECONDS = 10.0  # then a child that does not look at its flag is killed
STUCK_SHARE = 0.25  # of the threads: then the process drains and is replaced
EXIT_STUCK = 70  # EX_SOFTWARE: whoever supervises starts a new process
SHORTEST_REST_SECONDS = 0.1
LIMITS_SECONDS = 0.25  # between looks at hard limits
STATEMENT_OPTIONS = "-c statement_timeout=1000 -c lock_timeout=1000"

_fork_lock = threading.Lock()
os.register_at_fork(
    before=_fork_lock.acquire,
    after_in_parent=_fork_lock.release,
    after_in_child=_fork_lock.release,
)

_KEEP_LOG = """
INSERT INTO coordination_attempt (
    task_id, fence, number, claim, definition_id, swarm_id, agent_id, worker_id, outcome,
    charged, started_at, error_type, error_message, traceback, progress, note, log)
SELECT t.id, t.fence, t.attempt + 1, t.claim, t.definition_id, t.swarm_id, t.agent_id,
    t.worker_id, 'running', %(no)s, t.started_at, '', '', '', lines.progress, lines.note, lines.log
FROM coordination_task t
JOIN @rows(lines, id uuid, fence bigint, log text, progress float8, note text)
    ON lines.id = t.id AND lines.fence = t.fence
WHERE @status(t) = 'running' AND t.worker_id = %(worker)s
ON CONFLICT (task_id, fence) DO UPDATE SET log = excluded.log, note = excluded.note,
    progress = excluded.progress
WHERE coordination_attempt.outcome = 'running'
"""


@dataclass(slots=True)
class Heart:
    """Beats for one node until stopped."""

    node: Node
    ready: bool = False
    """Whether the pool takes work yet."""
    draining: bool = False
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _seen: journal.Seen = field(default_factory=dict)

    def start(self) -> None:
        """Beat from now on."""
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop beating and give up the lease."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        with contextlib.suppress(DatabaseError, InterfaceError):
            say_goodbye(self.node)

    def _run(self) -> None:
        if sql.postgres():
            # A private copy: the main thread's sessions keep their own limits.
            settings = connection.settings_dict
            connection.settings_dict = {
                **settings,
                "OPTIONS": {**settings["OPTIONS"], "options": STATEMENT_OPTIONS},
            }
        while not self._stopping.is_set():
            begun = time.monotonic()
            # The lease first: what comes after it may wait for locks that tasks hold.
            if self._try(self._beat):
                for item in slots.overdue():
                    self._try(partial(self._end, item))
                self._try(self._keep_logs)
            self._rest(begun + BEAT_SECONDS)
        connection.close()

    def _try(self, step: Callable[[], None]) -> bool:
        """Do one thing while nobody forks; whether it went well."""
        try:
            with _fork_lock:
                step()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("beat: %s", str(error).strip())
        except Exception:
            # A worker whose heart stopped would work on while its tasks are taken back.
            logger.exception("beat failed")
        else:
            return True
        self._disconnect()
        return False

    @staticmethod
    def _disconnect() -> None:
        with contextlib.suppress(DatabaseError, InterfaceError):
            connections["default"].close()

    def _rest(self, until: float) -> None:
        """Wait for the next beat, looking after the hard limits of children."""
        until = max(until, time.monotonic() + SHORTEST_REST_SECONDS)
        while not self._stopping.is_set() and (left := until - time.monotonic()) > 0:
            with _fork_lock, contextlib.suppress(OSError):
                for pid in limits.overdue(self.node.limits):
                    if pid in held.children():
                        logger.warning("killing %s: its task is past its hard limit", pid)
                        os.kill(pid, signal.SIGKILL)
                        until = 0.0  # its claim is gone two beats from now
            self._stopping.wait(min(left, LIMITS_SECONDS))

    def _beat(self) -> None:
        stuck = slots.stuck()
        if stuck > self.node.concurrency * STUCK_SHARE and not self.draining:
            logger.error("%s of %s threads are stuck: draining", stuck, self.node.concurrency)
            self.draining = True
            os.kill(os.getpid(), signal.SIGTERM)
        if self.draining and held.active() <= stuck:
            # Nothing but stuck threads is left, and no thread can be ended from outside.
            say_goodbye(self.node)
            os._exit(EXIT_STUCK)
        free = max(0, self.node.concurrency - held.active()) if self.ready else 0
        rss = psutil.Process().memory_info().rss
        # What else an envelope holds goes back when its thread is stuck in one of its tasks.
        given_up = slots.stuck_claims()
        claims = [claim for claim in held.claims() if claim not in given_up]
        orders = beat(self.node, Pulse(claims, free, rss, stuck, self.draining))
        for order in orders:
            self._cancel(order)
        self._lower_flags({order.flag for order in orders})
        held.acknowledge_old()

    def _cancel(self, order: ToCancel) -> None:
        """Raise the flag; after a grace, kill the child that ignores it."""
        (self.node.cancelled / order.flag).touch()
        if order.asked_ago < CANCEL_GRACE_SECONDS or self.node.pool != "cpu":
            return
        pid = held.child_of(order.claim)
        if pid is not None and pid != os.getpid():
            logger.warning("killing %s: its task ignores its cancellation", pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _lower_flags(self, asked: set[str]) -> None:
        """Remove the flags of executions that are over."""
        for flag in self.node.cancelled.iterdir():
            if flag.name not in asked:
                flag.unlink(missing_ok=True)

    def _keep_logs(self) -> None:
        entries = list(journal.changed(self.node.logs, self._seen))
        if entries:
            lines = [
                {
                    "id": entry.task_id.hex,
                    "fence": entry.fence,
                    "log": made_storable(entry.log),
                    "progress": entry.progress,
                    "note": made_storable(entry.note),
                }
                for entry in entries
            ]
            sql.change(_KEEP_LOG, {"lines": lines, "no": False, "worker": self.node.id})

    @staticmethod
    def _end(item: slots.Running) -> None:
        """Fence a thread past its hard limit: its task ends now, whatever it still does."""
        final = item.attempt >= item.policy.max_attempts
        lifecycle.finish(
            item.claim,
            [
                Finished(
                    item.task_id,
                    item.fence,
                    Status.DEAD if final else Status.SCHEDULED,
                    Outcome.TIMED_OUT,
                    started_ago=item.clock.elapsed,
                    ended_ago=0.0,
                    retry_in=item.policy.backoff.delay(item.attempt, random.random()),
                    reason="past its hard time limit",
                    error_type="TimeLimitExceeded",
                    error_message=f"ran longer than {item.hard_seconds:g} s",
                )
            ],
        )
        item.fenced = True  # only now: what the database refused is tried again

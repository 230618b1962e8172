"""What the views of coordination share: its errors as problems, and waiting for an end."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from ansf_platform.accounts.authentication import Principal
from ansf_platform.endpoints import Endpoint
from ansf_platform.field_errors import FieldError
from ansf_platform.problems import ProblemError, invalid
from ansf_platform.web_threads import THREADS
from coordination import selectors
from coordination.errors import (
    CoordinationError,
    Invalid,
    ItemError,
    Limited,
    NotFound,
    Refused,
)
from coordination.requests import NOBODY, Submitter
from ratelimit.throttle import QuotaExceeded

MAX_ERRORS = 1000  # told of one bulk; `errors_total` says how many there are
MAX_WAIT = 30  # seconds
# Whoever waits holds a thread and a connection: beyond half of them, the answer comes at once.
WAITERS = threading.BoundedSemaphore(max(1, THREADS // 2))
_WAIT = re.compile(r"(?:^|[,;\s])wait=([0-9]{1,6})(?:$|[,;\s])")


class CoordinationEndpoint(Endpoint):
    """An endpoint whose services raise :class:`CoordinationError`."""

    @property
    def submitter(self) -> Submitter:
        """Whom policies count that are kept by user or token."""
        principal = self.request.auth
        if not isinstance(principal, Principal):
            return NOBODY
        kind, _, number = principal.actor.partition(":")
        return Submitter(**{kind: number}) if kind in {"user", "token"} else NOBODY

    def handle_exception(self, exc: Exception) -> Response:
        known = isinstance(exc, CoordinationError)
        return super().handle_exception(as_problem(exc) if known else exc)  # type: ignore[arg-type]


def as_problem(error: CoordinationError) -> ProblemError:
    """404, 409, 422 or 429, with what the error tells."""
    match error:
        case NotFound():
            return ProblemError(404, error.detail)
        case Refused():
            problem = ProblemError(409, error.detail)
            if error.existing is not None:
                problem.members["existing"] = str(error.existing)
            return problem
        case Limited():
            return QuotaExceeded(error.buckets, error.decision)
        case Invalid():
            return refuse_items(error.errors)
    return ProblemError(422, error.detail)


def refuse_items(errors: Iterable[ItemError]) -> ProblemError:
    """422 that names each wrong item, the first thousand of them."""
    listed = list(errors)
    told = [FieldError(error.field, error.message, error.index) for error in listed[:MAX_ERRORS]]
    problem = invalid(told, f"{len(listed)} wrong: {listed[0]}" if listed else "")
    if len(listed) > MAX_ERRORS:
        problem.members["errors_total"] = len(listed)
    return problem


def wanted_wait(request: Request) -> int:
    """Seconds of ``Prefer: wait=N``, at most :data:`MAX_WAIT`; 0 without it (RFC 7240)."""
    found = _WAIT.search(request.headers.get("Prefer", ""))
    return min(int(found.group(1)), MAX_WAIT) if found else 0


def wait_for_end(task_id: UUID, seconds: int) -> bool:
    """Whether the request waited for the task's end; not when too many others do."""
    if seconds == 0 or not WAITERS.acquire(blocking=False):
        return False
    try:
        selectors.wait_for(task_id, seconds)
    finally:
        WAITERS.release()
    return True

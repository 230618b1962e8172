"""How a handler ended, in terms of the task's life.

====================================  =====================================================
the handler                           the task
====================================  =====================================================
returns                               succeeded
``self.retry()``, ``autoretry_for``   scheduled after the handler's own countdown
raises, attempts left                 scheduled after the definition's backoff
raises, none left; `GiveUp`           dead
``SoftTimeLimitExceeded``             like raising, outcome ``timed_out``
``Reject(requeue=True)``              scheduled again in a second, uncharged
``Reject()``                          dead
``Ignore``                            succeeded without a result
`Cancelled`                           cancelled
returns what is not JSON              dead: trying again gives the same
====================================  =====================================================
"""

from __future__ import annotations

import random
import traceback
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from celery.exceptions import Ignore, Reject, Retry

from coordination.bodies import BodyInvalid, Encoded, encode
from coordination.models import Outcome, Status
from coordination.references import ReferenceBroken
from coordination.retry import LONGEST_SECONDS, Backoff
from workers.context import Cancelled, GiveUp

REJECTED_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Policy:
    """A definition's answer to failure."""

    max_attempts: int
    backoff: Backoff


@dataclass(frozen=True, slots=True)
class Ending:
    """What becomes of the task, without the times."""

    status: Status
    outcome: Outcome
    charged: bool = True
    result: Encoded | None = None
    retry_in: float = 0.0
    reason: str = ""
    error_type: str = ""
    error_message: str = ""
    traceback: str = ""


def returned(value: Any) -> Ending:
    """The handler returned."""
    try:
        result = encode(value)
    except BodyInvalid as error:
        return Ending(
            Status.DEAD,
            Outcome.FAILED,
            reason="ResultInvalid",
            error_type="ResultInvalid",
            error_message=f"the result cannot be kept: {error}",
        )
    return Ending(Status.SUCCEEDED, Outcome.SUCCEEDED, result=result)


def raised(error: BaseException, attempt: int, policy: Policy) -> Ending:
    """The handler raised, in its `attempt`-th attempt (from 1)."""
    if isinstance(error, Cancelled):
        return Ending(Status.CANCELLED, Outcome.CANCELLED, reason="asked")
    if isinstance(error, Ignore):
        return Ending(Status.SUCCEEDED, Outcome.SUCCEEDED, reason="ignored")
    if isinstance(error, Retry):
        return _asked_to_retry(error)
    if isinstance(error, Reject):
        return _rejected(error)
    final = isinstance(error, GiveUp | ReferenceBroken) or attempt >= policy.max_attempts
    timed_out = isinstance(error, SoftTimeLimitExceeded)
    ending = Ending(
        Status.DEAD if final else Status.SCHEDULED,
        Outcome.TIMED_OUT if timed_out else Outcome.FAILED,
        retry_in=0.0 if final else policy.backoff.delay(attempt, random.random()),
    )
    return _because(error, ending)


def _asked_to_retry(error: Retry) -> Ending:
    ending = Ending(Status.SCHEDULED, Outcome.RETRIED, retry_in=_seconds_until(error.when))
    return _because(error.exc or error, ending)


def _rejected(error: Reject) -> Ending:
    if not getattr(error, "requeue", False):
        return _because(error, Ending(Status.DEAD, Outcome.FAILED))
    again = Ending(Status.SCHEDULED, Outcome.RETRIED, charged=False, retry_in=REJECTED_SECONDS)
    return _because(error, again)


def _seconds_until(when: Any) -> float:
    if isinstance(when, datetime):
        aware = when if when.tzinfo else when.replace(tzinfo=UTC)
        when = (aware - datetime.now(UTC)).total_seconds()
    # In this order a NaN becomes 0 and an infinity the longest wait.
    return min(LONGEST_SECONDS, max(0.0, float(when or 0.0)))


def _because(error: BaseException, ending: Ending) -> Ending:
    """The ending with its error spelt out."""
    name = type(error).__name__
    return replace(
        ending,
        reason=name[:100],
        error_type=name,
        error_message=_message(error),
        traceback="".join(traceback.format_exception(error)),
    )


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an error that cannot tell itself is still recorded
        return "(its message cannot be told)"

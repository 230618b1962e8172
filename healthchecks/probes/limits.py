"""The probe of the limiter: does Redis decide, or each process for itself?"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings

from healthchecks.monitor import State
from healthchecks.probes.measurement import (
    Measurement,
    Probe,
    Subject,
    above,
    settings_of,
    threshold,
)
from ratelimit import asking, selectors
from ratelimit.models import Policy

PARAMS: Mapping[str, Any] = {
    "degraded_percent": threshold(
        5, "Degraded when more of the last minute's units were decided without Redis."
    ),
}
FIX = "look at Redis and at its load; ANSF_LIMIT_BUDGET_MS says how long a decision waits for it"


def measure_limits(check: Subject, _now: datetime) -> Measurement:
    """Ask the limiter as a page does. The value is the share decided without Redis, in percent."""
    rows = list(selectors.visible(None).filter(enabled=True))
    if not settings.REDIS_URL:
        message = f"REDIS_URL is not set: {_without(rows)}, in each process for itself"
        return Measurement(
            State.DEGRADED, message, 100.0, "%", "set REDIS_URL, or run manage.py up"
        )
    start = time.perf_counter()
    if not asking.answers(patience_s=check.timeout_seconds):
        message = f"Redis does not answer: {_without(rows)}"
        return Measurement(State.DEGRADED, message, 100.0, "%", FIX)
    took_ms = (time.perf_counter() - start) * 1000
    share = selectors.degraded_percent(rows)
    limit = settings_of(check, PARAMS)["degraded_percent"]
    message = (
        f"{len(rows)} policies in force, Redis decided in {took_ms:.1f} ms, "
        f"{share:.1f} % of the last minute was decided without it"
    )
    return Measurement(above(share, limit, float("inf")), message, share, "%", FIX)


def _without(rows: list[Policy]) -> str:
    """What the policies do meanwhile: "2 allow, 3 local"."""
    counted = Counter(row.without_redis for row in rows)
    listed = ", ".join(f"{count} {name}" for name, count in sorted(counted.items()))
    return f"policies do what they say for that ({listed or 'there are none'})"


LIMITS = Probe(
    measure_limits, "limits are decided by Redis for all processes", PARAMS, needs_database=True
)

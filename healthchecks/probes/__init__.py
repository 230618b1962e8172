"""The one table of probes: what a check's `kind` may be, and how it is measured.

To add a probe, write ``(check, now) -> Measurement`` and a line here; admin, REST, YAML and
`doctor` know it from then on. A probe keeps the check's timeout itself, answers degraded or failed
with a sentence and a fix, and may raise: `measure` turns that into a failed measurement.
"""

from __future__ import annotations

import http.client
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError

from healthchecks.monitor import State
from healthchecks.probes import host, rows, stores
from healthchecks.probes.limits import LIMITS
from healthchecks.probes.measurement import Measurement, Probe, Subject
from healthchecks.probes.tcp import TCP
from healthchecks.probes.web import HTTP

PROBES: dict[str, Probe] = {
    "database": stores.DATABASE,
    "broker": stores.BROKER,
    "redis": stores.REDIS,
    "limits": LIMITS,
    "queue_depth": rows.QUEUE_DEPTH,
    "oldest_age": rows.OLDEST_AGE,
    "worker_leases": rows.WORKER_LEASES,
    "coordinator_lease": rows.COORDINATOR,
    "watch_lease": rows.WATCH,
    "disk": host.DISK,
    "memory": host.MEMORY,
    "http": HTTP,
    "tcp": TCP,
}

FIXES = {
    "database": "start the database, or look at DATABASE_URL",
    "broker": "start the broker, or look at BROKER_URL",
    "redis": "start Redis, or look at REDIS_URL",
    "limits": "start Redis, or look at REDIS_URL",
    "tcp": "start what should listen there, or look at the target",
    "http": "start what should answer there, or look at the target",
}


NEEDS = {"broker": "BROKER_URL", "redis": "REDIS_URL", "limits": "REDIS_URL"}


def missing_setting(kind: str) -> str:
    """The setting without which this process cannot measure that kind, "" when all is there.

    `up` tells its servers only to its own processes: a command beside it cannot look at them.
    """
    name = NEEDS.get(kind, "")
    return name if name and not getattr(settings, name) else ""


def measure(check: Subject, now: datetime) -> Measurement:
    """Run the check's probe once. Never raises: what goes wrong is a failed measurement."""
    probe = PROBES.get(check.kind)
    if probe is None:
        message = f"there is no probe {check.kind!r}"
        return Measurement(State.FAILED, message, fix=f"use one of {', '.join(PROBES)}")
    try:
        return probe.run(check, now)
    except Exception as error:  # noqa: BLE001 - a probe must not stop what runs it
        return Measurement(State.FAILED, describe(error), fix=_fix(check.kind, error))


def describe(error: Exception) -> str:
    """One line for a person; server errors name no password, and neither do we."""
    text = " ".join(str(error).split())
    if isinstance(error, http.client.HTTPException) or not text:
        return f"{type(error).__name__} {text}".strip()
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: nothing listens there"
    if isinstance(error, TimeoutError) and text in {"timed out", ""}:
        return "no answer in time"
    return text


def _fix(kind: str, error: Exception) -> str:
    if isinstance(error, DatabaseError):
        return FIXES["database"]
    if isinstance(error, PermissionError):
        return "choose a public target"
    return FIXES.get(kind, "")

"""Taking one reading: the probe, the clock around it, and the rows."""

from __future__ import annotations

import time
from dataclasses import dataclass

from django.utils import timezone

from ansf_platform.accounts.audit import record as audit
from healthchecks.definitions import Author
from healthchecks.models import Flip, HealthCheck
from healthchecks.probes import measure
from healthchecks.recording import Measured, record


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run on demand found, and the change of state it made, if any."""

    measured: Measured
    flip: Flip | None


def take(check: HealthCheck) -> Measured:
    """Measure a check. Never raises."""
    at = timezone.now()
    start = time.perf_counter()
    measurement = measure(check, at)
    duration_ms = (time.perf_counter() - start) * 1000
    return Measured(check.pk, check.revision, at, measurement, duration_ms)


def run_now(check: HealthCheck, author: Author) -> Outcome:
    """Measure on demand and record it like the watch does; call it outside any transaction."""
    return keep(check, take(check), author)


def keep(check: HealthCheck, measured: Measured, author: Author) -> Outcome:
    """Record what was measured on demand, with an audit entry."""
    audit(
        "health_check.run",
        "health_check",
        check.pk,
        actor=author.actor,
        tenant=check.tenant,
        request_id=author.request_id,
        name=check.name,
        state=measured.measurement.state.value,
    )
    return Outcome(measured, record(measured))

"""One look at everything: the environment, then each check once; nothing is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from django.db import DatabaseError
from django.utils import timezone

from healthchecks import selectors
from healthchecks.defaults import DEFAULT_CHECKS
from healthchecks.environment import ENVIRONMENT, Finding, look
from healthchecks.measuring import take
from healthchecks.models import HealthCheck
from healthchecks.monitor import BADNESS, State
from healthchecks.probes import FIXES, PROBES, missing_setting
from healthchecks.probes.measurement import Measurement

DATABASE_AWAY = "not looked at: the database does not answer"


def count() -> int:
    """About how many findings `examine` will give, for a progress bar."""
    return len(ENVIRONMENT) + len(DEFAULT_CHECKS)


def examine() -> Iterator[Finding]:
    """Each finding as it is made: the environment first, then the checks."""
    for check in ENVIRONMENT:
        yield look(check)
    away = False
    for row in checks_to_run():
        probe = PROBES.get(row.kind)
        if away and probe is not None and probe.needs_database and row.kind != "database":
            yield Finding(row.name, State.FAILED, DATABASE_AWAY, "start the database first")
            continue
        finding = finding_of(row)
        away = away or (row.kind == "database" and finding.state is State.FAILED)
        yield finding


def checks_to_run() -> list[HealthCheck]:
    """The enabled checks and the defaults not written yet, those of the database first."""
    defaults = [HealthCheck(trusted=True, **asdict(spec)) for spec in DEFAULT_CHECKS]
    try:
        rows = list(HealthCheck.objects.select_related("tenant"))
    except DatabaseError:
        rows = []
    known = {row.name for row in rows if row.tenant_id is None}
    chosen = [row for row in rows if row.enabled] + [d for d in defaults if d.name not in known]
    return sorted(chosen, key=lambda row: row.kind != "database")


def finding_of(row: HealthCheck) -> Finding:
    """Measure a check once; what only the running system's processes can reach, they have read."""
    name = f"{row.tenant.slug}/{row.name}" if row.tenant else row.name
    matters = row.severity != HealthCheck.Severity.INFO
    found = _read_by_watch(row) if missing_setting(row.kind) else None
    found = found or take(row).measurement
    fix = "" if found.state is State.OK else found.fix
    return Finding(name, found.state, found.message, fix, matters)


def _read_by_watch(row: HealthCheck) -> Measurement | None:
    """The last reading of a check whose watch is alive."""
    shown = selectors.view_of(row) if row.pk else None
    if shown is None or shown.reading is None or shown.state == selectors.STALE:
        return None
    ago = (timezone.now() - shown.reading.at).total_seconds()
    message = f"{shown.reading.message} (read by the watch {ago:.0f} s ago)"
    return Measurement(State(shown.reading.state), message, fix=FIXES[row.kind])


def verdict(findings: list[Finding]) -> State:
    """The worst of what matters."""
    states = [finding.state for finding in findings if finding.matters]
    return max(states, key=BADNESS.__getitem__, default=State.OK)

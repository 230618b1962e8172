"""What requests and answers about checks look like."""

from __future__ import annotations

from typing import Any

from ansf_platform.schemas import (
    anything,
    boolean,
    choice,
    define,
    integer,
    moment,
    nullable,
    number,
    page_of,
    record,
    ref,
    text,
)
from healthchecks import selectors
from healthchecks.measuring import Outcome
from healthchecks.models import LONGEST_RUN, Flip, HealthCheck, Reading
from healthchecks.monitor import State
from healthchecks.probes import PROBES
from healthchecks.selectors import CheckView
from healthchecks.spec import NAME_PATTERN, TARGET_LENGTH

MEASURED = [state.value for state in State if state is not State.UNKNOWN]
NAME = text(100, shortest=1, pattern=NAME_PATTERN)

SETTINGS = {
    "target": text(TARGET_LENGTH, description="What the probe looks at: host:port, a URL, ..."),
    "interval_seconds": number(1, 86_400),
    "timeout_seconds": number(0.1, 60),
    "rise": integer(1, LONGEST_RUN, description="Better readings in a row that are believed."),
    "fall": integer(1, LONGEST_RUN, description="Worse readings in a row that are believed."),
    "severity": choice(*HealthCheck.Severity.values),
    "enabled": boolean(),
    "params": anything(description="Thresholds; what a kind takes is said where it is refused."),
}
KIND = choice(*PROBES, description="; ".join(f"{k}: {p.about}" for k, p in PROBES.items()))
_MEASUREMENT = {
    "state": choice(*MEASURED),
    "value": nullable({"type": "number"}),
    "unit": text(20),
    "message": text(500),
    "duration_ms": number(0, 1e9),
}
READING = define("Reading", record({"id": integer(1), "at": moment(), **_MEASUREMENT}))
READINGS = page_of(READING)
_TURN = {
    "at": moment(),
    "before": choice(*(state.value for state in State)),
    "after": choice(*(state.value for state in State)),
    "reason": text(500),
}
FLIP = define("Flip", record({"id": integer(1), **_TURN}))
FLIPS = page_of(FLIP)
CHECK = define(
    "HealthCheck",
    record(
        {
            "id": integer(1),
            "name": NAME,
            "platform": boolean(description="It is the platform's, not the tenant's."),
            "kind": text(30),
            **SETTINGS,
            "state": choice(*selectors.SHOWN),
            "since": nullable(moment(description="When the state last changed.")),
            "last_reading": nullable(ref(READING)),
            "created_at": moment(),
            "revision": integer(1),
        }
    ),
)
CHECKS = page_of(CHECK)
PLATFORM = boolean(default=False, description="Make it the platform's; superusers only.")
CHECK_NEW = define(
    "HealthCheckNew", record({"name": NAME, "kind": KIND}, {**SETTINGS, "platform": PLATFORM})
)
CHECK_CHANGE = define("HealthCheckChange", record({}, {"name": NAME, "kind": KIND, **SETTINGS}))
RUN = define(
    "HealthCheckRun",
    record(
        {
            "at": moment(),
            **_MEASUREMENT,
            "fix": text(1000, description="What to do when it is not ok."),
            "flip": nullable(record(_TURN)),
        }
    ),
)


def render_reading(row: Reading) -> dict[str, Any]:
    """A reading as JSON."""
    return {"id": row.pk, "at": row.at, **{name: getattr(row, name) for name in _MEASUREMENT}}


def render_flip(row: Flip) -> dict[str, Any]:
    """A flip as JSON."""
    return {"id": row.pk, **{name: getattr(row, name) for name in _TURN}}


def render(view: CheckView) -> dict[str, Any]:
    """A check with the state it is shown in."""
    row = view.check
    return {
        "id": row.pk,
        "name": row.name,
        "platform": row.tenant_id is None,
        "kind": row.kind,
        **{name: getattr(row, name) for name in SETTINGS},
        "state": view.state,
        "since": view.since,
        "last_reading": render_reading(view.reading) if view.reading else None,
        "created_at": row.created_at,
        "revision": row.revision,
    }


def render_run(outcome: Outcome) -> dict[str, Any]:
    """What a run on demand found."""
    measured, found = outcome.measured, outcome.measured.measurement
    flip = outcome.flip
    return {
        "at": measured.at,
        "state": found.state.value,
        "value": found.value,
        "unit": found.unit,
        "message": found.message[:500],
        "duration_ms": measured.duration_ms,
        "fix": "" if found.state is State.OK else found.fix,
        "flip": {name: getattr(flip, name) for name in _TURN} if flip else None,
    }

"""What a check may say: its columns, their ranges, and every mistake by name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

import jsonschema

from coordination.errors import Invalid, ItemError
from healthchecks.models import LONGEST_RUN, HealthCheck
from healthchecks.probes import PROBES
from healthchecks.probes.measurement import Probe, TargetInvalid

# `$` also matches before a last newline; `(?!\n)` says no.
NAME_PATTERN = r"^[a-z0-9]([a-z0-9_-]{0,98}[a-z0-9])?(?!\n)$"
NAME = re.compile(NAME_PATTERN)
TARGET_LENGTH = 500
PARAMS_BYTES = 4096
UNSTORABLE = re.compile(r"\\u0000|\\ud[89a-f]")  # as json.dumps writes them
RANGES: dict[str, tuple[float, float]] = {
    "interval_seconds": (1.0, 86_400.0),
    "timeout_seconds": (0.1, 60.0),
    "rise": (1, LONGEST_RUN),
    "fall": (1, LONGEST_RUN),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSpec:
    """What somebody wants to be measured; the columns of a check that people write."""

    name: str
    kind: str
    target: str = ""
    interval_seconds: float = 30.0
    timeout_seconds: float = 5.0
    rise: int = 2
    fall: int = 3
    severity: str = HealthCheck.Severity.WARNING.value
    enabled: bool = True
    params: dict[str, Any] = field(default_factory=dict)


COLUMNS = tuple(column.name for column in fields(CheckSpec))


def spec_of(check: HealthCheck) -> CheckSpec:
    """The spec that a row came from."""
    return CheckSpec(**{name: getattr(check, name) for name in COLUMNS})


def differences(before: CheckSpec, after: CheckSpec) -> dict[str, tuple[Any, Any]]:
    """The columns that differ, with both values."""
    pairs = ((name, getattr(before, name), getattr(after, name)) for name in COLUMNS)
    return {name: (old, new) for name, old, new in pairs if old != new}


def validate(spec: CheckSpec, *, platform: bool) -> None:
    """Raise Invalid with everything that is wrong with a spec."""
    errors = [
        ItemError(None, f"/{name}", message) for name, message in _mistakes(spec, platform=platform)
    ]
    if errors:
        raise Invalid(errors)


def _mistakes(spec: CheckSpec, *, platform: bool) -> Iterator[tuple[str, str]]:
    if not (_is_text(spec.name) and NAME.match(spec.name)):
        yield "name", "use 1 to 100 of a-z, 0-9, - and _, with a letter or digit at both ends"
    if spec.severity not in HealthCheck.Severity.values:
        yield "severity", f"use one of {', '.join(HealthCheck.Severity.values)}"
    if not _is_bool(spec.enabled):
        yield "enabled", "use true or false"
    yield from _number_mistakes(spec)
    probe = PROBES.get(spec.kind) if _is_text(spec.kind) else None
    if probe is None:
        yield "kind", f"there is no probe {spec.kind!r}: use one of {', '.join(PROBES)}"
        return
    if not (platform or probe.for_tenants):
        allowed = ", ".join(name for name, each in PROBES.items() if each.for_tenants)
        yield "kind", f"{spec.kind} looks at the platform: a tenant's check uses {allowed}"
    yield from _target_mistakes(spec, probe)
    yield from _params_mistakes(spec, probe)


def _is_text(value: object) -> bool:
    """Whatever the annotations of a spec promise: a document or a body may hold anything."""
    return isinstance(value, str)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _number_mistakes(spec: CheckSpec) -> Iterator[tuple[str, str]]:
    for name, (low, high) in RANGES.items():
        value = getattr(spec, name)
        kind = int if name in {"rise", "fall"} else (int, float)
        if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
            yield name, f"use a {'whole ' if kind is int else ''}number from {low:g} to {high:g}"


def _not_storable(params: object) -> str:
    try:
        text = json.dumps(params, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return "use texts, finite numbers, booleans, lists and objects"
    if len(text) > PARAMS_BYTES:
        return "too large: at most 4 kB"
    # PostgreSQL stores no NUL, nor half of a surrogate pair.
    return "a text holds a character that cannot be stored" if UNSTORABLE.search(text) else ""


def _target_mistakes(spec: CheckSpec, probe: Probe) -> Iterator[tuple[str, str]]:
    if not _is_text(spec.target):
        yield "target", "use a text"
    elif len(spec.target) > TARGET_LENGTH or not spec.target.isprintable():
        yield "target", "use at most 500 printable characters"
    else:
        try:
            probe.validate_target(spec.target)
        except TargetInvalid as error:
            yield "target", str(error)


def _params_mistakes(spec: CheckSpec, probe: Probe) -> Iterator[tuple[str, str]]:
    problem = _not_storable(spec.params)
    if problem:
        yield "params", problem
        return
    validator = jsonschema.Draft202012Validator(probe.schema())
    for error in sorted(validator.iter_errors(spec.params), key=str):
        path = "/".join(["params", *map(str, error.absolute_path)])
        known = ", ".join(probe.params) or "none"
        unknown = error.validator == "additionalProperties"
        yield path, f"{error.message}; {spec.kind} takes: {known}" if unknown else error.message

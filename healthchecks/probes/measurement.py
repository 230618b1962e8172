"""What a probe is and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

from django.conf import settings

from ansf_platform.accounts.models import Tenant
from healthchecks.monitor import State


@dataclass(frozen=True, slots=True)
class Measurement:
    """A state, the number behind it, and for people: what was seen and how to mend it."""

    state: State
    message: str
    value: float | None = None
    unit: str = ""
    fix: str = ""


class Subject(Protocol):
    """What a probe reads of a check: a saved row or one that was never saved."""

    name: str
    kind: str
    target: str
    timeout_seconds: float
    params: Any
    trusted: bool
    tenant: Tenant | None


Run = Callable[[Subject, datetime], Measurement]


class TargetInvalid(ValueError):
    """A target that the probe cannot look at; the message says what is accepted."""


def no_target(target: str) -> None:
    """Accept only an empty target."""
    if target:
        raise TargetInvalid("this kind takes no target: leave it empty")


@dataclass(frozen=True, slots=True)
class Probe:
    """One kind of check: what it looks at, what it accepts, how it is run."""

    run: Run
    about: str
    params: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """JSON Schema (with defaults) of each parameter."""
    validate_target: Callable[[str], None] = no_target
    for_tenants: bool = False
    """Whether a tenant's own check may use it; the others look at the platform itself."""
    needs_database: bool = False

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of `params` as a whole."""
        return {
            "type": "object",
            "properties": dict(self.params),
            "additionalProperties": False,
        }


def settings_of(check: Subject, probe_params: Mapping[str, Any]) -> dict[str, Any]:
    """The check's parameters, defaults filled in."""
    defaults = {name: schema.get("default") for name, schema in probe_params.items()}
    return defaults | dict(check.params or {})


def may_reach_private(check: Subject) -> bool:
    """Whether the check may connect to loopback, private and link-local addresses."""
    return bool(settings.ANSF["ALLOW_PRIVATE_FETCH"]) or (check.tenant is None and check.trusted)


def threshold(default: float, about: str) -> dict[str, Any]:
    """The schema of a limit that is not below zero."""
    return {"type": "number", "minimum": 0, "default": default, "description": about}


def above(value: float, degraded: float, failed: float) -> State:
    """Failed or degraded when the value is greater than a limit."""
    if value > failed:
        return State.FAILED
    return State.DEGRADED if value > degraded else State.OK


def below(value: float, degraded: float, failed: float) -> State:
    """Failed or degraded when the value is less than a limit."""
    if value < failed:
        return State.FAILED
    return State.DEGRADED if value < degraded else State.OK

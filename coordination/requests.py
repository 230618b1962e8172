"""What a submitter asks for, and who that is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRequest:
    """One task as its submitter asks for it; None takes the definition's default."""

    definition: str
    payload: dict[str, Any] = field(default_factory=dict)
    version: int | None = None
    swarm: str | None = None
    priority: int | None = None
    not_before: datetime | None = None
    deadline: datetime | None = None
    key: str | None = None
    on_conflict: Literal["existing", "reject"] = "existing"
    lane: str | None = None
    rank: float = 0.0


@dataclass(frozen=True, slots=True)
class Submitter:
    """Who submits, for policies that count by that: the id of a user or of an API token."""

    user: str = ""
    token: str = ""


NOBODY = Submitter()

"""What was asked and not found: counted by normalised question, for whoever warms the cache."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from gateway.cache.connection import command
from gateway.cache.decision import Verdict
from gateway.cache.lookup import Ticket
from gateway.cache.scripts import MISS
from gateway.request import Message, Request
from ratelimit.scripts import Command

MOST_MISSED = 1_000
"""Questions that are remembered, for each tenant and for what is shared."""

BINS = 20
"""Of the histogram of scores, each a twentieth wide."""

_UNTOLD = "-"
_LARGEST = 8_000
"""Letters of a request that is remembered."""


@dataclass(frozen=True, slots=True)
class Missed:
    """A question that was asked `count` times (older ones count less) and not found."""

    question: str
    count: float
    cost: int
    """Of its answer, by the last one; nano-dollars. Else of the others' on average."""
    request: Request

    @property
    def value(self) -> float:
        """What a stored answer would have saved."""
        return self.count * self.cost


def noting(ticket: Ticket, verdict: Verdict | None, would_be: str) -> Command:
    """What counts a miss."""
    bin_ = f"{min(BINS - 1, int(verdict.score * BINS)):02d}" if verdict else ""
    private = ticket.request.visibility == "user"
    shown = ""
    if would_be == "similar" and verdict is not None:
        shown = _UNTOLD if private else json.dumps(_shadow(ticket, verdict))
    text = "" if private else described(ticket.request)
    key = (ticket.place.normalised or ticket.place.exact) if text else ""
    return command(MISS, ticket.place.partition, bin_, key, text, MOST_MISSED, shown)


def described(request: Request) -> str:
    """A request as JSON that `restored` reads; empty if it is too long or not JSON."""
    try:
        text = json.dumps(asdict(replace(request, metadata={})))
    except (TypeError, ValueError, RecursionError):
        return ""
    return text if len(text) <= _LARGEST else ""


def restored(text: bytes, count: float, cost: int) -> Missed:
    """Raises ValueError, KeyError and TypeError for what `described` did not make."""
    stored: dict[str, Any] = json.loads(text)
    request = Request(**{**stored, **_tuples(stored)})
    return Missed(request.question, count, cost, request)


def _tuples(stored: Mapping[str, Any]) -> dict[str, Any]:
    turns = [
        Message(**{**turn, "tool_calls": tuple(turn["tool_calls"]), "parts": tuple(turn["parts"])})
        for turn in stored["messages"]
    ]
    return {
        "messages": tuple(turns),
        **{name: tuple(stored[name]) for name in ("tools", "stop", "tags")},
    }


def _shadow(ticket: Ticket, verdict: Verdict) -> dict[str, Any]:
    return {
        "a": ticket.request.question[:_LARGEST],
        "b": verdict.candidate.question[:_LARGEST],
        "entry": verdict.candidate.entry,
        "score": round(verdict.score, 4),
        "at_us": ticket.asked_at,
    }

"""What is kept of an answer, and which answers are not kept at all."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gateway.cache.connection import command
from gateway.cache.lookup import Ticket
from gateway.cache.policy import CachePolicy
from gateway.cache.refusals import is_refusal
from gateway.cache.scripts import STORE
from gateway.request import Answer, HitLevel, Usage
from ratelimit.scripts import Command

_OVERHEAD = 700
"""Bytes that Redis spends on an entry's names and on its places in the indexes."""


class Unreadable(ValueError):
    """What is stored is no answer: another program wrote it, or damaged it."""


def refused(answer: Answer) -> str | None:
    """Why an answer must not be given again, in one word; None if it may be.

    One that was given by a model on trial may be below the policy's floor.
    """
    if answer.finish_reason != "stop":
        return "truncated" if answer.finish_reason == "length" else str(answer.finish_reason)
    if answer.tool_calls:
        return "tool_calls"
    text = answer.text.strip()
    if not text:
        return "empty"
    if answer.refused or is_refusal(text):
        return "refusal"
    if getattr(answer.route, "explored", False):
        return "explored"
    if not _is_text(answer.text):
        return "not_text"
    return None


def pack(answer: Answer) -> bytes:
    """An answer as stored: what was said, by whom, and what it cost."""
    kept = {
        "text": answer.text,
        "model": answer.model,
        "provider": answer.provider,
        "usage": asdict(answer.usage),
        "cost_nanodollars": answer.cost_nanodollars,
        "simulated": answer.simulated,
    }
    text = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")  # a provider may call its model anything


def unpack(stored: bytes, level: HitLevel, entry: str, age_us: int, score: float = 1.0) -> Answer:
    """The answer as served: it costs nothing, and saves what it once cost.

    Raises Unreadable if that is not what `pack` made.
    """
    try:
        return _answer(json.loads(stored), level, entry, age_us, score)
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"the entry '{entry}' cannot be read: {error}") from error


def _answer(
    kept: Mapping[str, Any], level: HitLevel, entry: str, age_us: int, score: float
) -> Answer:
    return Answer(
        text=kept["text"],
        model=kept["model"],
        provider=kept["provider"],
        usage=Usage(**kept["usage"]),
        hit_level=level,
        score=score,
        age_seconds=max(0, age_us) / 1e6,
        entry=entry,
        saved_nanodollars=kept["cost_nanodollars"],
        simulated=kept["simulated"],
    )


def weight(*contents: bytes) -> int:
    """Bytes that count against a tenant's budget."""
    return sum(map(len, contents)) + _OVERHEAD


def storing(
    ticket: Ticket,
    entry: str,
    policy: CachePolicy,
    *,
    size: int,
    cost: int,
    fields: Mapping[str, bytes],
) -> Command:
    """The command that stores an entry with these contents."""
    place = ticket.place
    return command(
        STORE,
        place.partition,
        entry,
        place.scope,
        place.tags,
        ticket.generation,
        secrets.token_hex(8),
        ticket.asked_at,
        policy.ttl_ms,
        policy.budget_bytes if place.partition.tenant else policy.shared_budget_bytes,
        size,
        cost,
        ticket.flight.fence if ticket.flight else "",
        place.exact,
        place.normalised,
        "1" if fields["vector"] else "",
        "sliding",
        policy.ttl_ms if policy.sliding else 0,
        *(word for field in fields.items() for word in field),
    )


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

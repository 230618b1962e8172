"""What is kept of an answer, and which answers are not kept at all."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gateway.cache.connection import command
from gateway.cache.lookup import Ticket
from gateway.cache.policy import CachePolicy
from gateway.cache.scripts import STORE
from gateway.request import Answer, HitLevel, Usage
from ratelimit.scripts import Command

_LONGEST_REFUSAL = 400
"""Letters; a long answer that begins with an apology answers something after all."""

_REFUSAL = re.compile(
    r"^\W*(?:(?:i[' a]*m|we[' a]*re)\s+(?:really\s+|very\s+|so\s+)?sorry|sorry|apologies"
    r"|unfortunately|as an ai|i apologi[sz]e|i must decline"
    r"|i\s+(?:can(?:no|')?t|can not|am (?:unable|not able)|won't|will not|do(?: not|n't) feel))\b",
    re.IGNORECASE,
)
_DECLINES = re.compile(
    r"\b(?:can(?:no|')?t|can not|unable|won't|will not|decline|not (?:able|allowed|comfortable))"
    r"\b[^.!?]{0,60}\b(?:help|assist|answer|comply|provide|do that|discuss|fulfil\w*|respond|share"
    r"|create|generate|engage|support)\b",
    re.IGNORECASE,
)
_OVERHEAD = 700
"""Bytes that Redis spends on an entry's names and on its places in the indexes."""


def refused(answer: Answer) -> str | None:
    """Why an answer must not be given again, in one word; None if it may be."""
    if answer.finish_reason != "stop":
        return "truncated" if answer.finish_reason == "length" else str(answer.finish_reason)
    if answer.tool_calls:
        return "tool_calls"
    text = answer.text.strip()
    if not text:
        return "empty"
    if len(text) <= _LONGEST_REFUSAL and _REFUSAL.search(text) and _DECLINES.search(text):
        return "refusal"
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

    Raises ValueError, KeyError or TypeError if that is not what `pack` made.
    """
    kept: dict[str, Any] = json.loads(stored)
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
        policy.budget_bytes,
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

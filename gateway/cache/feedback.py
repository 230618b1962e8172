"""What callers say of served answers: thresholds are learned from it, and pairs are kept.

A pair is kept only if the report says what was asked, and the entry was served to that question
as similar: a complaint about an exact hit says nothing about two questions. The pairs can be given
to ``manage.py cache evaluate`` as they are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gateway.cache.connection import Connection
from gateway.cache.decision import QUARANTINED_BY, Record
from gateway.cache.invalidation import Unknown
from gateway.cache.keys import Partition, home_of
from gateway.cache.scripts import REPORT
from gateway.cache.similar import asked_digest
from ratelimit.scripts import plain

MOST_PAIRS = 1_000
"""Reports that are kept, the newest."""

LONGEST_ASKED = 8_000
"""Bytes of a question that are kept with a report."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An entry after a report."""

    entry: str
    record: Record
    quarantined: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a caller says of an answer that it was given."""

    ok: bool
    question: str = ""
    """As it was asked; empty: not told."""
    score: float | None = None
    """That the answer came with, where the question is not told."""


def report(connection: Connection, own: Partition, entry: str, judgement: Judgement) -> Standing:
    """Note what is said of an entry, of the tenant's `own` or shared.

    Raises Away, and Unknown without the entry.
    """
    home = home_of(entry, own)
    question, score = judgement.question, judgement.score
    reply = home and connection.ask(
        REPORT,
        home,
        entry,
        "1" if judgement.ok else "0",
        "" if score is None else f"{score:.6f}",
        QUARANTINED_BY,
        asked_digest(question) if question else "",
        question.encode("utf-8", "replace")[:LONGEST_ASKED],
    )
    if not reply:
        raise Unknown(f"there is no entry '{entry}': it may have expired")
    good, bad, worst, quarantined = reply
    return Standing(entry, Record(int(good), int(bad), float(worst)), quarantined == b"1")


def reported_pairs(connection: Connection, partition: Partition) -> list[dict[str, Any]]:
    """The newest reports on similar hits as {"a", "b", "same_answer", "score", "entry"}.

    Raises Away.
    """
    key = partition.root + "reports"
    replies = connection.ask_many([plain(key, "LRANGE", key, "0", str(MOST_PAIRS - 1))])
    return [json.loads(line) for line in replies[0]]

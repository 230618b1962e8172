"""What requests and answers about the cache look like."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansf_platform.schemas import (
    anything,
    array,
    boolean,
    choice,
    define,
    integer,
    nullable,
    number,
    record,
    text,
)
from gateway.cache.feedback import Standing
from gateway.cache.misses import BINS
from gateway.cache.statistics import LEVELS, Statistics

LONGEST_QUESTION = 8_000
LONGEST_ANSWER = 200_000
MOST_WARMED = 200
_NAME = text(200)
_COUNTS = {"type": "object", "additionalProperties": {"type": "integer"}}
_SHARE = number(0, 2)

STATISTICS = define(
    "GatewayCacheStatistics",
    record(
        {
            "hours": integer(1),
            "requests": integer(),
            "hits": record({level: integer() for level in LEVELS}),
            "misses": integer(),
            "hit_rate": nullable(number(0, 1)),
            "saved_nanodollars": integer(),
            "stored": integer(),
            "evicted": integer(),
            "refused": {**_COUNTS, "description": "Answers that were not kept, by reason."},
            "voided": integer(description="Invalidated entries that were found and removed."),
            "shadow": {**_COUNTS, "description": "What shadow mode would have served, by level."},
            "reports": _COUNTS,
            "scores": array(integer(), BINS, description="Best score of each miss, by twentieths."),
            "entries": integer(),
            "bytes": integer(),
            "generation": text(40, description="Changes when Redis was flushed."),
        }
    ),
)
_ASKED = {
    "system": text(LONGEST_QUESTION),
    "model": _NAME,
    "tier": _NAME,
    "locale": _NAME,
    "epoch": _NAME,
    "visibility": choice("tenant", "global"),
    "tags": array(_NAME, 50),
}
QUESTION = define(
    "GatewayCacheQuestion",
    record(
        {"question": text(LONGEST_QUESTION)},
        {
            **_ASKED,
            "policy": text(100),
            "temperature": number(0, 2),
            "max_tokens": integer(1, 10_000_000),
        },
    ),
)
EXPLANATION = define(
    "GatewayCacheExplanation",
    record(
        {
            "level": choice("none", "exact", "normalised", "similar"),
            "entry": text(40, description="Empty: none would be served."),
            "scope": text(64),
            "fields": anything(description="What the scope is made of."),
            "similar_asked": boolean(),
            "threshold": _SHARE,
            "in_scope": integer(description="Entries that could be similar."),
            "verdicts": array(
                record(
                    {
                        "entry": text(40),
                        "question": text(
                            LONGEST_QUESTION, description="Empty: the entry is shared."
                        ),
                        "cosine": number(-1.1, 1.1),
                        "score": _SHARE,
                        "threshold": _SHARE,
                        "vetoes": array(text(40)),
                        "reported": record({"good": integer(), "bad": integer(), "worst": _SHARE}),
                        "serves": boolean(),
                    }
                )
            ),
        }
    ),
)
INVALIDATION = define(
    "GatewayCacheInvalidation",
    record(
        {},
        {
            "tags": array(_NAME, 100, minItems=1),
            "entry": text(40, shortest=1),
            "scope": text(64, shortest=64),
            "all": {"const": True},
            "shared": boolean(default=False, description="Of what all tenants share."),
        },
    ),
)
INVALIDATED = define("GatewayCacheInvalidated", record({"removed_now": integer()}))
WARMING = define(
    "GatewayCacheWarming",
    record(
        {
            "lines": array(
                record(
                    {"prompt": text(LONGEST_QUESTION), "answer": text(LONGEST_ANSWER)},
                    {**_ASKED, "provider": _NAME, "cost_nanodollars": integer(0, 10**15 - 1)},
                ),
                MOST_WARMED,
                minItems=1,
            )
        },
        {"policy": text(100)},
    ),
)
WARMED = define("GatewayCacheWarmed", record({"stored": integer(), "refused": _COUNTS}))
REPORT = define(
    "GatewayCacheReport",
    record(
        {"ok": boolean()},
        {
            "question": text(LONGEST_QUESTION, description="As it was asked."),
            "score": number(0, 1, description="It had, where the question is not told."),
        },
    ),
)
STANDING = define(
    "GatewayCacheStanding",
    record({"entry": text(40), "right": integer(), "wrong": integer(), "quarantined": boolean()}),
)


def render_statistics(found: Statistics) -> dict[str, Any]:
    """Counts and sizes as JSON."""
    return asdict(found)


def render_standing(standing: Standing) -> dict[str, Any]:
    """An entry after a report, as JSON."""
    return {
        "entry": standing.entry,
        "right": standing.record.good,
        "wrong": standing.record.bad,
        "quarantined": standing.quarantined,
    }

"""What goes in and out as JSON."""

from __future__ import annotations

from typing import Any

from ansf_platform.schemas import (
    anything,
    array,
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
    slug,
    text,
)
from patterns import encoders, everywhere, memory
from patterns.models import (
    DEFAULT_QUOTA,
    DEFAULT_THRESHOLD,
    LARGEST_DIMENSION,
    LARGEST_QUOTA,
    Namespace,
    Pattern,
)
from patterns.vectors import from_bytes

_LARGEST_VALUE = 1e15
_VECTOR = array(number(-_LARGEST_VALUE, _LARGEST_VALUE), LARGEST_DIMENSION, minItems=1)
_SERIES = array(number(-1e150, 1e150), encoders.MAX_SAMPLES, minItems=1)
_SETTINGS = {
    "description": text(300),
    "dimension": integer(1, LARGEST_DIMENSION, description="Of an encoder: the encoder's."),
    "encoder": choice("", *encoders.DIMENSIONS, description="Empty: vectors are given."),
    "metric": choice(*Namespace.Metric.values),
    "backend": choice(*Namespace.Backend.values),
    "quota": integer(1, LARGEST_QUOTA, description=f"Patterns at most; {DEFAULT_QUOTA}."),
    "dedup_threshold": nullable(
        number(
            0.01, 1,
            description=f"Score from which a vector is merged; null: never; {DEFAULT_THRESHOLD}.",
        )
    ),
}  # fmt: skip
_NAMES = ("id", "slug", *_SETTINGS, "scaler_version", "created_at", "revision")

NAMESPACE = define(
    "Namespace",
    record(
        {
            "id": integer(1), "slug": slug(), **_SETTINGS, "scaler_version": integer(),
            "patterns": integer(description="How many it holds."),
            "created_at": moment(), "revision": integer(1),
        }
    ),
)  # fmt: skip
NAMESPACES = page_of(NAMESPACE)
NAMESPACE_NEW = define("NamespaceNew", record({"slug": slug()}, _SETTINGS))
NAMESPACE_CHANGE = define("NamespaceChange", record({}, _SETTINGS))
REINDEX = define(
    "Reindex", record({}, {"refit": boolean(description="Learn the scaler anew as well.")})
)
STATS = define(
    "NamespaceStats",
    record(
        {
            "patterns": integer(), "seen": integer(description="Sum of all counts."),
            "quota": integer(), "removed": integer(), "changes": integer(),
            "generation": integer(), "scaler_version": integer(), "index": anything(),
        }
    ),
)  # fmt: skip

PATTERN = define(
    "Pattern",
    record(
        {
            "id": integer(1), "namespace": slug(), "count": integer(1), "metadata": anything(),
            "created_at": moment(), "updated_at": moment(),
        },
        {"vector": _VECTOR},
    ),
)  # fmt: skip
PATTERNS = page_of(PATTERN)
PATTERN_NEW = define(
    "PatternNew",
    record(
        {},
        {
            "vector": _VECTOR, "series": _SERIES, "metadata": anything(),
            "count": integer(1, memory.MAX_COUNT),
        },
    ),
)  # fmt: skip
PATTERNS_NEW = define(
    "PatternsNew",
    record(
        {
            "namespace": slug(),
            "items": array(
                ref(PATTERN_NEW), memory.MAX_ITEMS, minItems=1,
                description="Each with a vector, or a series for the namespace's encoder.",
            ),
        }
    ),
)  # fmt: skip
ADDED = define(
    "PatternsAdded",
    record(
        {
            "items": array(
                record(
                    {
                        "id": integer(1), "merged": boolean(), "count": integer(1),
                        "score": nullable({"type": "number"}),
                    }
                )
            )
        }
    ),
)  # fmt: skip
PLACES = array(
    text(120, shortest=1, pattern=r"^([-a-zA-Z0-9_.]+:)?[-a-zA-Z0-9_]+(?!\n)$"),
    everywhere.MAX_NAMESPACES,
    minItems=1,
    uniqueItems=True,
    description="`slug`, or `host:slug`.",
)
SEARCH = define(
    "PatternSearch",
    record(
        {"namespaces": PLACES},
        {
            "vectors": array(_VECTOR, memory.MAX_QUERIES, minItems=1),
            "series": array(_SERIES, encoders.MAX_SERIES, minItems=1),
            "k": integer(1, memory.MAX_RESULTS, description="Results per query; 10."),
            "filter": anything(description="Conditions on metadata; see the how-to."),
            "exact": boolean(description="Compare every vector in float32."),
        },
    ),
)
FOUND = define(
    "PatternsFound",
    record(
        {
            "metric": choice(*Namespace.Metric.values),
            "results": array(
                array(
                    record(
                        {
                            "namespace": text(120), "id": integer(1),
                            "score": {"type": "number"}, "count": integer(1),
                            "metadata": anything(),
                        }
                    )
                ),
                description="For each query its results, best first.",
            )
        }
    ),
)  # fmt: skip


def namespace(row: Namespace) -> dict[str, Any]:
    """A namespace."""
    return {name: getattr(row, name) for name in _NAMES} | {"patterns": row.live}


def pattern(row: Pattern, *, vector: bool = False) -> dict[str, Any]:
    """A pattern, and its vector if asked for."""
    told = {
        "id": row.pk, "namespace": row.namespace.slug, "count": row.count,
        "metadata": row.metadata, "created_at": row.created_at, "updated_at": row.updated_at,
    }  # fmt: skip
    if vector:
        told["vector"] = from_bytes(bytes(row.vector), row.namespace.dimension)[0].tolist()
    return told

"""The handlers that come with the platform: kernels, pattern memory, streams, HTTP, models.

Each is an ordinary Celery task; :data:`SCHEMAS` holds the JSON Schema of its payload, for
definitions to take over.
"""

from __future__ import annotations

from typing import Any

from workers.handlers import (
    attractor,
    elastic,
    http,
    llm,
    logic,
    pairs,
    recall,
    series,
    stream,
    vectors,
)

SCHEMAS: dict[str, dict[str, Any]] = {
    **series.SCHEMAS,
    **attractor.SCHEMAS,
    **elastic.SCHEMAS,
    **logic.SCHEMAS,
    **pairs.SCHEMAS,
    **vectors.SCHEMAS,
    **recall.SCHEMAS,
    **stream.SCHEMAS,
    **http.SCHEMAS,
    **llm.SCHEMAS,
}

__all__ = [
    "SCHEMAS",
    "attractor",
    "elastic",
    "http",
    "llm",
    "logic",
    "pairs",
    "recall",
    "series",
    "stream",
    "vectors",
]

"""The handlers that come with the platform: kernels on series, and fetching over HTTP.

Each is an ordinary Celery task; :data:`SCHEMAS` holds the JSON Schema of its payload, for
definitions to take over.
"""

from __future__ import annotations

from typing import Any

from workers.handlers import attractor, elastic, http, logic, series, stream

SCHEMAS: dict[str, dict[str, Any]] = {
    **series.SCHEMAS,
    **attractor.SCHEMAS,
    **elastic.SCHEMAS,
    **logic.SCHEMAS,
    **stream.SCHEMAS,
    **http.SCHEMAS,
}

__all__ = ["SCHEMAS", "attractor", "elastic", "http", "logic", "series", "stream"]

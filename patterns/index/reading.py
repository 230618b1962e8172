"""Rows on their way from the database into an index."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from patterns.index.parts import Batch
from patterns.models import Namespace, Pattern
from patterns.vectors import Ids, comparable, from_bytes, scaler_of

CHUNK = 1000
"""Rows read at once: 1.5 MB of 384 dimensions."""

_COLUMNS = ("changed", "id", "count", "metadata", "vector", "removed")


def changes(namespace: Namespace, since: int) -> Iterator[tuple[int, Batch, Ids]]:
    """Rows by change number: the last number, the rows, and the ids that were removed.

    A row that changes while this reads may come twice; the later one counts.
    """
    scaler = scaler_of(namespace)
    while True:
        found = Pattern.objects.filter(namespace=namespace, changed__gt=since)
        rows = list(found.order_by("changed").values_list(*_COLUMNS)[:CHUNK])
        if not rows:
            return
        since = rows[-1][0]
        kept = [row for row in rows if not row[5]]
        raw = from_bytes(b"".join(bytes(row[4]) for row in kept), namespace.dimension)
        batch = Batch(
            np.array([row[1] for row in kept], np.int64),
            np.array([row[2] for row in kept], np.int64),
            [row[3] for row in kept],
            comparable(raw, namespace, scaler) if kept else raw,
        )
        yield since, batch, np.array([row[1] for row in rows if row[5]], np.int64)

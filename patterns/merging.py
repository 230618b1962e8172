"""Which new vectors say the same as a pattern that is there, or as an earlier one beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.utils import timezone

from kernels import rows
from patterns import backends
from patterns.filters import Filter
from patterns.models import Namespace, Pattern
from patterns.vectors import (
    Vectors,
    comparable,
    from_bytes,
    kernel_metric,
    scaler_of,
    score_of,
)

SAME = 1 - 1e-6
"""The threshold before an encoder's first scaler: features that all are large look alike, so
only what is the same up to rounding is merged."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a new vector goes: to a pattern that is there, to an earlier new one, or alone."""

    pattern: int | None = None
    earlier: int | None = None
    score: float | None = None

    @property
    def is_new(self) -> bool:
        """Whether it becomes a pattern of its own."""
        return self.pattern is None and self.earlier is None


def places(namespace: Namespace, raw: Vectors) -> list[Place]:
    """Where each vector goes; the namespace is locked, so nobody adds meanwhile."""
    if namespace.dedup_threshold is None:
        return [Place() for _ in raw]
    least = namespace.dedup_threshold
    if namespace.encoder and not namespace.scaler:
        least = max(least, SAME)
    metric = kernel_metric(namespace.metric)
    wanted = comparable(raw, namespace, scaler_of(namespace))
    nearest = backends.of(namespace).search(namespace, wanted, 1, Filter(), exact=False)
    found: list[Place] = []
    alone: list[int] = []  # indices of those that become patterns, and beside them their vectors
    kept = np.empty_like(wanted)
    for index, hits in enumerate(nearest):
        options = [Place(pattern=hit.id, score=hit.score) for hit in hits]
        if alone:
            scores = rows.exact_scores(kept[: len(alone)], wanted[index], metric)
            top = int(np.argmax(scores))
            score = score_of(scores[top : top + 1], namespace.metric)[0]
            options.append(Place(earlier=alone[top], score=float(score)))
        best = max(options, key=_closeness, default=Place())
        if _closeness(best) < least:
            best = Place()
            kept[len(alone)] = wanted[index]
            alone.append(index)
        found.append(best)
    return found


def _closeness(place: Place) -> float:
    return -np.inf if place.score is None else place.score


@dataclass(frozen=True, slots=True)
class Stored:
    """A pattern after the change: its id, how often it was seen, its mean vector."""

    id: int
    count: int
    vector: Vectors


def store(
    namespace: Namespace,
    raw: Vectors,
    counts: Sequence[int],
    metadata: Sequence[dict[str, object]],
    where: Sequence[Place],
) -> dict[int, Stored]:
    """Write new patterns and merge the others; by index of the vector, what it became."""
    groups: dict[int, list[int]] = defaultdict(list)  # pattern, or -1 - index of a new one
    for index, place in enumerate(where):
        first = index if place.earlier is None else place.earlier
        groups[-1 - first if place.pattern is None else place.pattern].append(index)
    known = Pattern.objects.in_bulk([key for key in groups if key >= 0])
    made: list[Pattern] = []
    members: list[list[int]] = []
    for key, indices in groups.items():
        total = sum(counts[index] for index in indices)
        mass = sum(raw[index].astype(np.float64) * counts[index] for index in indices)
        namespace.changes += 1
        if key >= 0:
            row = known[key]
            old = from_bytes(bytes(row.vector), namespace.dimension)[0].astype(np.float64)
            mass = mass + old * row.count
            total += row.count
        else:
            row = Pattern(namespace=namespace, metadata=metadata[indices[0]])
        row.vector = np.asarray(mass / total, np.float32).tobytes()
        row.count, row.changed, row.updated_at = total, namespace.changes, timezone.now()
        made.append(row)
        members.append(indices)
    _write(made)
    return {
        index: Stored(row.pk, row.count, from_bytes(bytes(row.vector), namespace.dimension)[0])
        for row, indices in zip(made, members, strict=True)
        for index in indices
    }


def _write(made: Sequence[Pattern]) -> None:
    new = [row for row in made if row._state.adding]  # noqa: SLF001 - it has no row yet
    old = [row for row in made if not row._state.adding]  # noqa: SLF001 - it has
    Pattern.objects.bulk_create(new)
    for row in old:
        row.save(update_fields=["vector", "count", "changed", "updated_at"])

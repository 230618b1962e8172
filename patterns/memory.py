"""Adding, searching and deleting patterns: what everything else goes through.

A change is one transaction that holds the namespace's row: what two processes add at once cannot
both miss the other as a duplicate, changes have an order, and what was answered is committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Sum
from numpy.typing import ArrayLike

from ansf_platform.field_errors import FieldError
from patterns import backends, encoders, filters, generations, merging, notes, pending
from patterns.errors import Invalid, NotFound, Refused, wrong
from patterns.index.snapshot import Found
from patterns.models import Namespace, Pattern
from patterns.vectors import (
    Vectors,
    comparable,
    given,
    scaler_of,
)

MAX_ITEMS = 1000
"""Patterns per change: the namespace is locked for about a second at most."""
MAX_QUERIES = 1000
MAX_RESULTS = 1000
FIT_AT = (20, 200, 2000)
"""Patterns of an encoded namespace at which its scaler is learnt by itself; later, by reindex."""

MAX_REMOVED = 10_000
"""Removed rows, if there are not as many patterns: more are purged."""
PURGE_EVERY = 1000
"""Changes, between two looks at how many rows are removed."""
MAX_COUNT = 10**12


@dataclass(frozen=True, slots=True)
class NewPattern:
    """A vector, or a series for the namespace's encoder, with what is known about it."""

    vector: ArrayLike | None = None
    series: ArrayLike | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    count: int = 1


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a new pattern: its id, or that of the one it was merged into, how close."""

    id: int
    merged: bool
    count: int
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Stats:
    """What a namespace holds, and how its index lies."""

    patterns: int
    seen: int
    quota: int
    removed: int
    changes: int
    generation: int
    scaler_version: int
    index: Mapping[str, Any]


def add(
    namespace: Namespace,
    vector: ArrayLike | None = None,
    *,
    series: ArrayLike | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Added:
    """Remember one vector or series; a near-duplicate is counted instead.

    Raises Invalid for what cannot be a pattern here, and Refused when the quota is used up.
    """
    noted = {} if metadata is None else metadata
    return add_many(namespace, [NewPattern(vector, series, noted)])[0]


def add_many(namespace: Namespace, items: Sequence[NewPattern]) -> list[Added]:
    """Remember many, all or none, in their order; see :func:`add`. At most 1 000."""
    if not 0 < len(items) <= MAX_ITEMS:
        raise wrong("/items", f"has {len(items)} patterns, 1 to {MAX_ITEMS} at once")
    metadata = notes.checked([item.metadata for item in items])
    counts = [_count(item.count, index) for index, item in enumerate(items)]
    raw = _vectors(namespace, items)
    with transaction.atomic():
        locked = lock(namespace)
        where = merging.places(locked, raw)
        _refuse_beyond_quota(locked, sum(place.is_new for place in where))
        pending.mark(locked)
        stored = merging.store(locked, raw, counts, metadata, where)
        before = locked.live
        locked.live += sum(place.is_new for place in where)
        locked.save(update_fields=["changes", "live"])
        if locked.encoder and any(before < size <= locked.live for size in FIT_AT):
            generations.start_anew(locked, refit=True)
        else:
            _tell(locked, stored.values())
        transaction.on_commit(lambda: backends.of(locked).settle(locked), robust=True)
    return [
        Added(stored[index].id, not place.is_new, stored[index].count, place.score)
        for index, place in enumerate(where)
    ]


def search(
    namespace: Namespace,
    query: ArrayLike,
    k: int = 10,
    filter: Mapping[str, Any] | None = None,  # noqa: A002 - the word of the API
    *,
    exact: bool = False,
) -> list[Found]:
    """The `k` patterns closest to a vector (as encoded), best first; equal scores by id.

    `exact` compares every vector in float32 instead of the candidates of the index.
    """
    vector = np.asarray(query)
    if vector.ndim != 1:
        raise wrong("/vector", f"has shape {vector.shape}: pass one vector, or use search_many")
    return search_many(namespace, vector[None], k, filter, exact=exact)[0]


def search_many(
    namespace: Namespace,
    queries: ArrayLike,
    k: int = 10,
    filter: Mapping[str, Any] | None = None,  # noqa: A002 - the word of the API
    *,
    exact: bool = False,
) -> list[list[Found]]:
    """The same for many vectors, shape (m, dimension), in one pass over the index."""
    raw = given(queries, namespace, "/vectors")
    if len(raw) > MAX_QUERIES:
        raise wrong("/vectors", f"has {len(raw)} queries, at most {MAX_QUERIES} at once")
    if type(k) is not int or not 0 < k <= MAX_RESULTS:
        raise wrong("/k", f"is {k!r}: 1 to {MAX_RESULTS}")
    where = filters.parse(filter)
    current = fresh(namespace)
    wanted = comparable(raw, current, scaler_of(current))
    return backends.of(current).search(current, wanted, k, where, exact=exact)


def search_series(
    namespace: Namespace,
    series: Sequence[Any],
    k: int = 10,
    filter: Mapping[str, Any] | None = None,  # noqa: A002 - the word of the API
    *,
    exact: bool = False,
) -> list[list[Found]]:
    """The patterns closest to each series, by the namespace's encoder."""
    encoded = encoders.encode(namespace, series)
    return search_many(namespace, encoded, k, filter, exact=exact)


def delete(namespace: Namespace, ids: Iterable[int]) -> int:
    """Forget patterns by id; how many there were. Unknown ids are passed over."""
    wanted = sorted(set(ids))
    if len(wanted) > MAX_ITEMS:
        raise wrong("/ids", f"has {len(wanted)} ids, at most {MAX_ITEMS} at once")
    with transaction.atomic():
        locked = lock(namespace)
        found = list(
            Pattern.objects.filter(namespace=locked, pk__in=wanted, removed=False)
            .order_by("pk")
            .values_list("pk", flat=True)
        )
        if not found:
            return 0
        pending.mark(locked)
        for pk in found:
            locked.changes += 1
            Pattern.objects.filter(pk=pk).update(
                removed=True, vector=b"", metadata={}, changed=locked.changes
            )
        locked.live -= len(found)
        locked.save(update_fields=["changes", "live"])
        backends.of(locked).forget(locked, found)
        before = locked.changes - len(found)
        if before // PURGE_EVERY < locked.changes // PURGE_EVERY:
            _purge(locked)
    return len(found)


def _purge(namespace: Namespace) -> None:
    """Delete removed rows for good when they are many, in a new generation."""
    removed = Pattern.objects.filter(namespace=namespace, removed=True)
    if removed.count() > max(MAX_REMOVED, namespace.live):
        removed.delete()
        generations.start_anew(namespace)
        transaction.on_commit(lambda: backends.of(namespace).settle(namespace), robust=True)


def reindex(namespace: Namespace, *, refit: bool = False) -> Namespace:
    """Make the index anew from the rows, and with `refit` the scaler as well.

    Removed rows are deleted for good. Searches in other threads go on meanwhile with the index as
    it was; with a new scaler they wait.
    """
    with transaction.atomic():
        locked = lock(namespace)
        pending.mark(locked)
        Pattern.objects.filter(namespace=locked, removed=True).delete()
        locked.live = Pattern.objects.filter(namespace=locked).count()
        locked.save(update_fields=["live"])
        generations.start_anew(locked, refit=refit)
        transaction.on_commit(lambda: backends.of(locked).settle(locked), robust=True)
    return locked


def stats(namespace: Namespace) -> Stats:
    """Counts and sizes."""
    current = fresh(namespace)
    rows_ = Pattern.objects.filter(namespace=current)
    seen = rows_.filter(removed=False).aggregate(seen=Sum("count"))["seen"] or 0
    return Stats(
        current.live, int(seen), current.quota, rows_.filter(removed=True).count(), current.changes,
        current.generation, current.scaler_version, backends.of(current).stats(current),
    )  # fmt: skip


def fresh(namespace: Namespace) -> Namespace:
    """The namespace as it is now. Raises NotFound when it was removed."""
    found = Namespace.objects.filter(pk=namespace.pk).first()
    if found is None:
        raise NotFound(f"the namespace {namespace} is gone")
    return found


def lock(namespace: Namespace) -> Namespace:
    """The namespace as it is now, held until the transaction ends. Raises NotFound."""
    found = Namespace.objects.select_for_update(of=("self",)).filter(pk=namespace.pk).first()
    if found is None:
        raise NotFound(f"the namespace {namespace} is gone")
    return found


def _vectors(namespace: Namespace, items: Sequence[NewPattern]) -> Vectors:
    """One raw vector per item, the series among them encoded together."""
    mistakes = [
        FieldError("", "needs a vector or a series, and not both", index)
        for index, item in enumerate(items)
        if (item.vector is None) == (item.series is None)
    ]
    if mistakes:
        raise Invalid(mistakes)
    raw = np.empty((len(items), namespace.dimension), np.float32)
    with_series = [index for index, item in enumerate(items) if item.series is not None]
    if with_series:
        raw[with_series] = encoders.encode(namespace, [items[i].series for i in with_series])
    for index, item in enumerate(items):
        if item.vector is not None:
            raw[index] = _one_vector(namespace, item.vector, index)
    return raw


def _one_vector(namespace: Namespace, vector: ArrayLike, index: int) -> Vectors:
    try:
        row: Vectors = given(vector, namespace)[0]
    except Invalid as error:
        raise wrong("/vector", error.errors[0].message, index) from error
    return row


def _count(count: object, index: int) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or not 0 < count <= MAX_COUNT:
        raise wrong("/count", f"is {count!r}: 1 to {MAX_COUNT}", index)
    return count


def _refuse_beyond_quota(namespace: Namespace, more: int) -> None:
    if namespace.live + more > namespace.quota:
        raise Refused(
            f"{namespace} holds {namespace.live} of {namespace.quota} patterns, "
            f"{more} more do not fit: delete some, or raise the quota"
        )


def _tell(namespace: Namespace, stored: Iterable[merging.Stored]) -> None:
    """Let the backend hear of what was written."""
    each = list({one.id: one for one in stored}.values())
    raw = np.stack([one.vector for one in each])
    ids = np.array([one.id for one in each], np.int64)
    vectors = comparable(raw, namespace, scaler_of(namespace))
    backends.of(namespace).store(namespace, ids, vectors)

"""The indexes that this process holds, brought up to date with the rows when somebody searches.

One query tells whether a namespace changed; the rows that did are read by their change numbers.
A process that meets a namespace for the first time maps the segments of whoever was here before,
or makes them from the rows, block by block.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from uuid import UUID

import numpy as np

from patterns.index import sealing
from patterns.index.directory import Directory
from patterns.index.parts import Batch, Part, Tail
from patterns.index.segments import Segment
from patterns.index.snapshot import Snapshot, masks_of
from patterns.models import Namespace, Pattern
from patterns.pending import is_pending
from patterns.vectors import Ids, comparable, from_bytes, scaler_of

MAX_VIEWS = 64
"""Namespaces held per process; the least recently searched is let go."""
CHUNK = 1000
"""Rows read at once: 1.5 MB of 384 dimensions."""
SEAL_ROWS = 4096
"""Rows in memory that are worth a segment of their own."""
BUILD_WAIT_S = 30.0
"""For another process that makes the same index; then this one keeps its own in memory."""

_COLUMNS = ("changed", "id", "count", "metadata", "vector", "removed")


class View:
    """One namespace as this process sees it; `lock` is held by who brings it up to date."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.sealing = threading.Lock()
        self.snapshot: Snapshot | None = None
        self.segments: tuple[Segment, ...] = ()
        self.tail: Tail | None = None


_views: OrderedDict[UUID, View] = OrderedDict()
_registry = threading.Lock()


def follow(namespace: Namespace) -> Snapshot:
    """The state of the index at the namespace's last change; `namespace` is freshly read."""
    view = _view(namespace)
    known = view.snapshot
    if known is not None and _is_current(known, namespace):
        return known
    with view.lock:
        if is_pending(namespace):
            # What this transaction wrote may be taken back: others must never see it.
            return _bring_up(_private(view, namespace), namespace)
        return _bring_up(view, namespace)


def drop(namespace: Namespace) -> None:
    """Forget the index and its files; the next search makes them anew."""
    with _registry:
        _views.pop(namespace.uid, None)
    Directory(namespace).remove()


def forget_all() -> None:
    """Forget every index of this process, none of the files."""
    with _registry:
        _views.clear()


def _view(namespace: Namespace) -> View:
    with _registry:
        view = _views.setdefault(namespace.uid, View())
        _views.move_to_end(namespace.uid)
        while len(_views) > MAX_VIEWS:
            _views.popitem(last=False)
        return view


def _is_current(snapshot: Snapshot, namespace: Namespace) -> bool:
    return (snapshot.generation, snapshot.through) == (namespace.generation, namespace.changes)


def _private(view: View, namespace: Namespace) -> View:
    """A view of the same segments with a tail of its own."""
    fresh = View()
    known = view.snapshot
    if known is not None and known.generation == namespace.generation:
        _hold(fresh, namespace, view.segments, _reach(view.segments))
    return fresh


def _bring_up(view: View, namespace: Namespace) -> Snapshot:
    """Add what changed since; start anew where that is not possible."""
    known = view.snapshot
    if known is None or known.generation != namespace.generation or _is_ahead(known, namespace):
        _open(view, namespace)
    elif view.tail is not None and len(view.tail) >= 2 * SEAL_ROWS:
        _take_over(view, namespace)
    known = view.snapshot
    if known is None or known.through < namespace.changes:
        known = _read_changes(view, namespace, known.through if known else 0)
    return known


def _is_ahead(snapshot: Snapshot, namespace: Namespace) -> bool:
    """Whether the index knows of changes that the database does not: it was set back."""
    if snapshot.through <= namespace.changes:
        return False
    namespace.refresh_from_db(fields=["changes"])  # another thread may only have been quicker
    return snapshot.through > namespace.changes


def _take_over(view: View, namespace: Namespace) -> None:
    """Let go of rows in memory that another process has put into segments."""
    manifest = Directory(namespace).read()
    if manifest is not None and _reach(view.segments) < manifest.through <= namespace.changes:
        _hold(view, namespace, manifest.segments, manifest.through)


def _reach(segments: Sequence[Segment]) -> int:
    return max((int(segment.told["through"]) for segment in segments), default=0)


def _open(view: View, namespace: Namespace) -> None:
    """The segments on the disk, or new ones; without either an empty tail to read rows into."""
    directory = Directory(namespace)
    manifest = directory.read()
    if manifest is not None and manifest.through <= namespace.changes:
        _hold(view, namespace, manifest.segments, manifest.through)
        return
    _hold(view, namespace, (), 0)
    if namespace.live < SEAL_ROWS or is_pending(namespace):
        return
    with directory.locked(BUILD_WAIT_S) as mine:
        manifest = directory.read()  # somebody else may just have made it
        if manifest is not None and manifest.through <= namespace.changes:
            _hold(view, namespace, manifest.segments, manifest.through)
        elif mine and directory.make_room(namespace.live * sealing.row_bytes(namespace)):
            segment = sealing.write_all(directory, namespace, changes(namespace, 0))
            _hold(view, namespace, (segment,), _reach((segment,)))


def _hold(view: View, namespace: Namespace, segments: Sequence[Segment], through: int) -> None:
    view.segments = tuple(segments)
    view.tail = Tail(namespace.dimension, namespace.metric)
    parts: tuple[Part, ...] = tuple(segments)
    view.snapshot = Snapshot(
        namespace.generation, through, namespace.metric, parts, masks_of(parts)
    )


def _read_changes(view: View, namespace: Namespace, since: int) -> Snapshot:
    tail = view.tail
    assert tail is not None  # noqa: S101 - _hold made it
    through = since
    for last, batch, gone in changes(namespace, since):
        tail.extend(batch, gone)
        through = last
    parts: tuple[Part, ...] = (*view.segments, tail.view())
    through = max(through, namespace.changes)  # the last change may have been purged since
    view.snapshot = Snapshot(
        namespace.generation, through, namespace.metric, parts, masks_of(parts)
    )
    return view.snapshot


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


def seal(namespace: Namespace) -> None:
    """Move rows from memory to the disk when they are many; not within a transaction's reach.

    Searches go on with the state they know; only one process and one thread writes.
    """
    view = _view(namespace)
    known, tail = view.snapshot, view.tail
    if known is None or tail is None or len(tail) < SEAL_ROWS or is_pending(namespace):
        return
    if not view.sealing.acquire(blocking=False):
        return
    try:
        directory = Directory(namespace)
        with directory.locked(0.0) as mine:
            if not mine or known.generation != namespace.generation:
                return
            manifest = directory.read()
            held = view.segments if manifest is None else manifest.segments
            if _reach(held) == _reach(view.segments):
                held = sealing.write_more(directory, namespace, known, view.segments)
        with view.lock:
            if held and view.snapshot and view.snapshot.generation == namespace.generation:
                _hold(view, namespace, held, _reach(held))
    finally:
        view.sealing.release()

"""The indexes that this process holds, brought up to date with the rows when somebody searches.

One query tells whether a namespace changed; the rows that did are read by their change numbers.
A process that meets a namespace for the first time maps the segments of whoever was here before,
or makes them from the rows, block by block. While a new generation is made, searches in other
threads get the state before it, unless the scaler changed: then they wait. Where files cannot be
written, the index is held in memory.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import numpy as np
from django.db import connection

from patterns.index import sealing
from patterns.index.directory import Directory, Manifest
from patterns.index.parts import Part, Tail
from patterns.index.reading import changes
from patterns.index.segments import Damaged, Segment
from patterns.index.snapshot import Snapshot, Terms, masks_after, masks_of
from patterns.models import Namespace
from patterns.pending import is_pending

logger = logging.getLogger(__name__)

MAX_VIEWS = 64
"""Namespaces held per process; the least recently searched is let go."""
SEAL_ROWS = 4096
"""Rows in memory that are worth a segment of their own."""
BUILD_WAIT_S = 30.0
"""For another process that makes the same index; then this one keeps its own in memory."""
RETRY_S = 60.0
"""After rows could not be moved to the disk."""


class View:
    """One namespace as this process sees it; `lock` is held by who brings it up to date."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.sealing = threading.Lock()
        self.snapshot: Snapshot | None = None
        self.segments: tuple[Segment, ...] = ()
        self.tail: Tail | None = None
        self.rests_until = 0.0
        """No segment is written before; by the monotonic clock."""

    def become(self, other: View) -> None:
        """Hold what the other one does; who searches sees the state before, or all of it."""
        self.segments, self.tail = other.segments, other.tail
        self.snapshot = other.snapshot


_views: OrderedDict[UUID, View] = OrderedDict()
_registry = threading.Lock()


def follow(namespace: Namespace) -> Snapshot:
    """The state of the index at the namespace's last change; `namespace` is freshly read.

    Outside a transaction it may be the state before a new generation, while that one is made.
    """
    view = _view(namespace)
    known = view.snapshot
    if known is not None and _is_current(known, namespace):
        return known
    older = known if known is not None and _serves(known, namespace) else None
    if not view.lock.acquire(blocking=older is None):
        assert older is not None  # noqa: S101 - otherwise it would have waited
        return older
    try:
        if is_pending(namespace):
            # What this transaction wrote may be taken back: others must never see it.
            return _bring_up(_private(view, namespace), namespace)
        return _bring_up(view, namespace, older)
    finally:
        view.lock.release()


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


def _serves(snapshot: Snapshot, namespace: Namespace) -> bool:
    """Whether a search may use what was before this generation; who adds has to know all."""
    is_older = snapshot.generation < namespace.generation
    return is_older and snapshot.terms == _terms(namespace) and not connection.in_atomic_block


def _terms(namespace: Namespace) -> Terms:
    """What makes vectors comparable."""
    return namespace.dimension, namespace.metric, namespace.encoder, namespace.scaler_version


def _private(view: View, namespace: Namespace) -> View:
    """A view of the same segments with a tail of its own."""
    fresh = View()
    known = view.snapshot
    if known is not None and known.generation == namespace.generation:
        _hold(fresh, namespace, view.segments, _reach(view.segments))
    return fresh


def _bring_up(view: View, namespace: Namespace, older: Snapshot | None = None) -> Snapshot:
    """Add what changed since; start anew where that is not possible.

    `older` is returned while another process makes the new index.
    """
    known = view.snapshot
    if known is not None and _is_ahead(known, namespace):
        # Another thread may only have been quicker; otherwise the database was set back.
        namespace.refresh_from_db(fields=["changes", "generation", "scaler", "scaler_version"])
    if known is None or known.generation != namespace.generation or _is_ahead(known, namespace):
        fresh = View()
        if not _open(fresh, namespace, 0.0 if older else BUILD_WAIT_S) and older is not None:
            return older
        _read_changes(fresh, namespace)
        view.become(fresh)
    elif known.through < namespace.changes:
        if view.tail is not None and len(view.tail) >= 2 * SEAL_ROWS:
            _take_over(view, namespace)
        _read_changes(view, namespace)
    assert view.snapshot is not None  # noqa: S101 - one of the two has made it
    return view.snapshot


def _is_ahead(snapshot: Snapshot, namespace: Namespace) -> bool:
    """Whether the index knows of changes that `namespace` does not."""
    if snapshot.generation != namespace.generation:
        return snapshot.generation > namespace.generation
    return snapshot.through > namespace.changes


def _take_over(view: View, namespace: Namespace) -> None:
    """Let go of rows in memory that another process has put into segments."""
    manifest = _usable(Directory(namespace), namespace)
    if manifest is not None and _reach(view.segments) < manifest.through:
        _hold(view, namespace, manifest.segments, manifest.through)


def _reach(segments: Sequence[Segment]) -> int:
    return max((int(segment.told["through"]) for segment in segments), default=0)


def _usable(directory: Directory, namespace: Namespace) -> Manifest | None:
    manifest = directory.read()
    return manifest if manifest and manifest.through <= namespace.changes else None


def _open(view: View, namespace: Namespace, wait_s: float) -> bool:
    """The segments on the disk, or new ones; without either an empty tail to read rows into.

    False when another process makes them for longer than `wait_s`: then it is the empty tail.
    """
    directory = Directory(namespace)
    manifest, mine = _usable(directory, namespace), True
    if manifest is None and namespace.live >= SEAL_ROWS and not is_pending(namespace):
        try:
            with directory.locked(wait_s) as mine:
                manifest = _usable(directory, namespace)  # somebody else may just have made it
                if manifest is None and mine:
                    manifest = _made(directory, namespace)
        except (OSError, Damaged) as error:
            logger.warning("the index of %s stays in memory: %s", namespace, error)
    if manifest is None:
        _hold(view, namespace, (), 0)
        return mine
    _hold(view, namespace, manifest.segments, manifest.through)
    return True


def _made(directory: Directory, namespace: Namespace) -> Manifest | None:
    """All rows as one segment, where there is room."""
    if not directory.make_room(namespace.live * sealing.row_bytes(namespace)):
        return None
    segment = sealing.write_all(directory, namespace, changes(namespace, 0))
    return Manifest(namespace.generation, _reach((segment,)), (segment,))


def _hold(view: View, namespace: Namespace, segments: Sequence[Segment], through: int) -> None:
    parts: tuple[Part, ...] = tuple(segments)
    view.segments = tuple(segments)
    view.tail = Tail(namespace.dimension, namespace.metric)
    view.snapshot = Snapshot(
        namespace.generation, through, namespace.metric, parts, masks_of(parts), _terms(namespace)
    )


def _read_changes(view: View, namespace: Namespace) -> None:
    """Bring the tail and the snapshot up to the last change."""
    tail, known = view.tail, view.snapshot
    assert tail is not None  # noqa: S101 - _hold made both
    assert known is not None  # noqa: S101
    through, removed = known.through, [np.empty(0, np.int64)]
    for last, batch, gone in changes(namespace, through):
        tail.extend(batch, gone)
        removed.append(gone)
        through = last
    parts: tuple[Part, ...] = (*view.segments, tail.view())
    view.snapshot = replace(
        known,
        through=max(through, namespace.changes),  # the last change may have been purged since
        parts=parts,
        alive=masks_after(known.alive, parts, np.concatenate(removed)),
    )


def seal(namespace: Namespace) -> None:
    """Move rows from memory to the disk when they are many; not within a transaction's reach.

    Searches go on with the state they know; only one process and one thread writes. What was
    made anew is opened by who did that. What cannot be written stays in memory.
    """
    view = _view(namespace)
    if view.snapshot is not None and view.snapshot.generation < namespace.generation:
        follow(namespace)
        return
    if is_pending(namespace) or not view.sealing.acquire(blocking=False):
        return
    try:
        _seal(view, namespace)
    except (OSError, Damaged) as error:
        logger.warning("rows of %s stay in memory: %s", namespace, error)
        view.rests_until = time.monotonic() + RETRY_S
    finally:
        view.sealing.release()


def _seal(view: View, namespace: Namespace) -> None:
    with view.lock:  # the three belong together: others replace them meanwhile
        known, tail, segments = view.snapshot, view.tail, view.segments
    if known is None or tail is None or len(tail) < SEAL_ROWS:
        return
    is_whole = len(known.parts) == len(segments) + 1
    if not is_whole or known.generation != namespace.generation:
        return
    if time.monotonic() < view.rests_until:
        return
    directory = Directory(namespace)
    with directory.locked(0.0) as mine:
        if not mine:
            return
        manifest = directory.read()
        held = segments if manifest is None else manifest.segments
        if _reach(held) == _reach(segments):
            held = sealing.write_more(directory, namespace, known, segments)
    if not held:
        view.rests_until = time.monotonic() + RETRY_S
    with view.lock:
        current = view.snapshot
        if current is None or current.generation != namespace.generation:
            return
        if _reach(held) > _reach(view.segments):
            _hold(view, namespace, held, _reach(held))

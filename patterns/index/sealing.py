"""Writing segments: all rows at first, then what is new, then all again when there are many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from patterns.filters import Mask
from patterns.index.directory import Directory
from patterns.index.parts import Batch, Part
from patterns.index.segments import Segment, Writer
from patterns.index.snapshot import Snapshot
from patterns.models import Namespace
from patterns.vectors import Ids

MAX_SEGMENTS = 8
DEAD_SHARE = 0.3
"""Rows no longer in force, from which writing all anew costs less than to go on scanning them."""
_NOTE_BYTES = 200


def row_bytes(namespace: Namespace) -> int:
    """About how many bytes a row takes on the disk."""
    return namespace.dimension * 5 + 32 + _NOTE_BYTES


def write_all(
    directory: Directory, namespace: Namespace, changes: Iterator[tuple[int, Batch, Ids]]
) -> Segment:
    """One segment of all rows, in force; the caller holds the lock and made room."""
    through = 0
    removed: list[Ids] = [np.empty(0, np.int64)]
    path = directory.path / f"{namespace.generation}-{namespace.changes}-rows"
    with Writer(path, namespace.dimension, namespace.metric) as writer:
        for last, batch, gone in changes:
            writer.add(batch)
            removed.append(gone)
            through = last
        segment = writer.finish(np.concatenate(removed), through)
    directory.write(through, [segment])
    return segment


def write_more(
    directory: Directory, namespace: Namespace, known: Snapshot, segments: tuple[Segment, ...]
) -> tuple[Segment, ...]:
    """What the newest part holds as one more segment, or everything as one; () without room."""
    many = len(segments) + 1 > MAX_SEGMENTS
    # Segments that made room for another namespace are readable only by who has them open.
    gone = any(not segment.path.exists() for segment in segments)
    merge = many or gone or known.live < known.rows * (1 - DEAD_SHARE)
    first = 0 if merge else len(segments)
    parts, masks = known.parts[first:], known.alive[first:]
    size = sum(int(mask.sum()) for mask in masks) * row_bytes(namespace)
    if not directory.make_room(size + directory.size()):
        return ()
    path = directory.path / f"{namespace.generation}-{known.through}-{'all' if merge else 'more'}"
    with Writer(path, namespace.dimension, namespace.metric) as writer:
        for batch in _batches(parts, masks):
            writer.add(batch)
        removed = known.parts[-1].gone if not merge else np.empty(0, np.int64)
        segment = writer.finish(removed, known.through)
    held = (segment,) if merge else (*segments, segment)
    directory.write(known.through, held)
    return held


def _batches(parts: Sequence[Part], masks: Sequence[Mask]) -> Iterator[Batch]:
    for part, mask in zip(parts, masks, strict=True):
        for start, block in part.blocks():
            use = np.flatnonzero(mask[start : start + len(block)])
            places = use + start
            yield Batch(
                part.ids[places],
                part.counts[places],
                [part.metadata(int(place)) for place in places],
                block[use],
            )

"""Pattern memory: recall against exact search, time and memory of a mapped index, duplicates."""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path
from time import thread_time
from timeit import default_timer

import numpy as np
import psutil
from threadpoolctl import threadpool_limits

from benchmarks.figures import Figure, Findings, median
from benchmarks.scenarios.vector_data import DIMENSION, Kind, Vectors, near, vectors
from kernels.vectors import near_duplicates
from patterns.filters import Filter
from patterns.index.parts import Batch
from patterns.index.segments import Segment, Writer
from patterns.index.snapshot import Found, Snapshot, masks_of, scanned

ROWS, QUERIES, WANTED = 100_000, 200, 10
_BLOCK = 10_000
_DUPLICATES = 20_000
_SHARES = (0.2, 0.4)
_NOISE = 0.1
_KINDS: tuple[Kind, ...] = ("clustered", "unstructured")


def measure(tasks: int | None, rounds: int | None) -> Findings:
    """`tasks` rows (100 000), `rounds` times 200 queries."""
    findings = Findings("patterns", "manage.py bench patterns --json")
    with threadpool_limits(limits=1):
        for kind in _KINDS:
            _index(findings, kind, tasks or ROWS, rounds or 1)
            _duplicates(findings, kind)
    return findings


def _index(findings: Findings, kind: Kind, count: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        segment = _written(Path(directory) / kind, kind, count)
        gc.collect()
        before = psutil.Process().memory_info().rss
        snapshot = Snapshot(1, count, "cosine", (segment,), masks_of((segment,)))
        queries = near(vectors(kind, _BLOCK), QUERIES)
        times, found = [], []
        for _ in range(rounds):
            for query in queries:
                begun = thread_time()
                found.append(_search(snapshot, query))
                times.append((thread_time() - begun) * 1e3)
        process = psutil.Process().memory_info().rss
    findings.add(f"search_{kind}_ms", median(times, "ms", "processor time of one query"))
    # The second kind finds memory that the first has left, and would seem to need none.
    if "resident_mb" not in findings.figures:
        grown = Figure((process - before) / 1e6, "MB", 1, note="what the index added")
        findings.add("resident_mb", grown)
        findings.add("process_mb", Figure(process / 1e6, "MB", 1, note="the whole process"))
    recall = _recall(kind, count, queries, found[:QUERIES])
    findings.add(f"recall_{kind}", Figure(recall, "share", QUERIES, note="of the ten nearest"))


def _written(path: Path, kind: Kind, count: int) -> Segment:
    """A segment of so many rows, made block by block."""
    with Writer(path, DIMENSION, "cosine") as writer:
        for start in range(0, count, _BLOCK):
            size = min(_BLOCK, count - start)
            ids = np.arange(start, start + size, dtype=np.int64)
            notes: list[dict[str, object]] = [{"n": int(n)} for n in ids]
            writer.add(Batch(ids, np.ones(size, np.int64), notes, vectors(kind, size, start)))
        return writer.finish(np.empty(0, np.int64), count)


def _search(snapshot: Snapshot, query: Vectors) -> list[Found]:
    return snapshot.search(query[None], WANTED, Filter(), exact=False, candidates=scanned)[0]


def _recall(kind: Kind, count: int, queries: Vectors, found: list[list[Found]]) -> float:
    """The share of the exact ten nearest, in float32, that were found."""
    scores = np.concatenate(
        [
            queries @ vectors(kind, min(_BLOCK, count - start), start).T
            for start in range(0, count, _BLOCK)
        ],
        axis=1,
    )
    exact = np.argsort(-scores, axis=1, kind="stable")[:, :WANTED]
    hits = [
        len({one.id for one in mine} & set(best.tolist()))
        for mine, best in zip(found, exact, strict=True)
    ]
    return float(np.mean(hits)) / WANTED


def _duplicates(findings: Findings, kind: Kind) -> None:
    """Planted copies with noise; the originals are further apart than the threshold."""
    for share in _SHARES:
        originals = round(_DUPLICATES * (1 - share))
        rows = _apart(vectors(kind, originals))
        copies = _DUPLICATES - originals
        source = np.random.default_rng(14).integers(0, len(rows), copies)
        random = np.random.default_rng(15).standard_normal((copies, DIMENSION))
        moved = rows[source] + _NOISE / np.sqrt(DIMENSION) * random
        begun = default_timer()
        owners = near_duplicates(np.concatenate([rows, moved.astype(np.float32)]), 0.98)
        seconds = default_timer() - begun
        name = f"{kind}_{share * 100:.0f}"
        found = float(np.mean(owners[len(rows) :] == source))
        false = float(np.mean(owners[: len(rows)] != np.arange(len(rows))))
        findings.add(f"duplicates_found_{name}", Figure(found, "share", copies))
        findings.add(f"duplicates_false_{name}", Figure(false, "share", len(rows)))
        findings.add(f"duplicates_{name}_s", Figure(seconds, "s", 1))


def _apart(rows: Vectors) -> Vectors:
    """Rows without those that are near-duplicates by nature."""
    kept: Vectors = rows[near_duplicates(rows, 0.95) == np.arange(len(rows))]
    return kept

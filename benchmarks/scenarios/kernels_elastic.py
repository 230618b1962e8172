"""Warping beside dtaidistance and aeon, the search beside brute force, and the encoders' time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from benchmarks import aeon_peer as aeon
from benchmarks.racing import SHORTEST_SECONDS, Case, Race
from kernels import dtw, embedding

CANDIDATES = 200
QUERIES = 8
BATCH = 100


def walks(count: int, length: int) -> NDArray[np.float64]:
    """Random walks, each of mean 0 and deviation 1."""
    rows = np.cumsum(np.random.default_rng(length).normal(size=(count, length)), axis=1)
    rows -= rows.mean(axis=1, keepdims=True)
    scaled: NDArray[np.float64] = rows / rows.std(axis=1, keepdims=True)
    return scaled


def _against_dtaidistance(length: int, window: int | None) -> Race:
    x, y = walks(2, length)
    peer = import_module("dtaidistance.dtw").distance_fast
    # dtaidistance counts the diagonal itself as part of the window.
    other = None if window is None else window + 1
    return Race(partial(dtw.dtw_distance, x, y, window), partial(peer, x, y, window=other))


def _against_aeon(length: int, window: int | None) -> Race:
    x, y = walks(2, length)
    share = None if window is None else (window + 0.5) / length
    request = aeon.Request("dtw_distance", x.tolist(), y.tolist(), {"window": share}, repeats=20)
    # As long as our own calls are timed: a busy machine interrupts long measurements more often.
    repeats = max(20, int(SHORTEST_SECONDS / aeon.seconds(request)))
    request = replace(request, repeats=repeats)
    return Race(
        partial(dtw.dtw_distance, x, y, window), peer_seconds=partial(aeon.seconds, request)
    )


def _against_brute_force(length: int, window: int | None) -> Race:
    """Several queries, since how much can be skipped depends on the query."""
    rows = walks(CANDIDATES + QUERIES, length)
    queries, others = [row.copy() for row in rows[:QUERIES]], rows[QUERIES:].copy()

    def searched() -> list[int]:
        return [int(dtw.nearest(query, others, window).indices[0]) for query in queries]

    def tried() -> list[int]:
        return [
            int(np.argmin([dtw.dtw_distance(query, other, window) for other in others]))
            for query in queries
        ]

    if searched() != tried():
        raise AssertionError(f"nearest finds {searched()}, brute force {tried()}")
    return Race(searched, tried)


def _encoding(encoder: str) -> Race:
    return Race(partial(embedding.transform, walks(BATCH, 256), encoder))


def _cases() -> tuple[Case, ...]:
    cases = []
    for length, window, label in (
        (512, 25, ""),
        (128, 6, "_128_5"),
        (128, 12, "_128_10"),
        (512, 51, "_512_10"),
        (256, None, "_256_full"),
    ):
        what = f"two walks of {length} samples, " + (
            "no window" if window is None else f"{window} samples of window"
        )
        ours = f"dtw_distance{label}"
        dtaidistance = partial(_against_dtaidistance, length, window)
        cases += [
            Case(f"{ours}_vs_dtaidistance", dtaidistance, ("dtaidistance",), note=what),
            Case(f"{ours}_vs_aeon", partial(_against_aeon, length, window), note=what),
        ]
    for length, window, label in (
        (128, 12, "_128_10"),
        (256, 25, ""),
        (256, None, "_256_full"),
    ):
        cases.append(
            Case(
                f"nearest{label}_vs_brute_force",
                partial(_against_brute_force, length, window),
                note=f"{QUERIES} queries, {CANDIDATES} walks; brute force is dtw_distance of each",
            )
        )
    for encoder, label in ((embedding.MINIROCKET, "minirocket"), (embedding.SEED, "seed")):
        cases.append(
            Case(
                f"{label}_features_ms",
                partial(_encoding, encoder),
                per=BATCH,
                note=f"per series of 256, {BATCH} at once",
            )
        )
    return tuple(cases)


CASES = _cases()

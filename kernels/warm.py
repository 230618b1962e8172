"""Compile, or load from the disk cache, every kernel once: called by a worker before it forks."""

from __future__ import annotations

from collections.abc import Callable
from timeit import default_timer

import numpy as np
from numpy.typing import NDArray

from kernels import attractor, dtw, embedding, forecast, temporal_logic, trees, vectors
from kernels.compile import KERNELS
from kernels.tree_packing import Arrays
from kernels.vectors import Codes

_SAMPLES = 96
"""Enough for every stage of the analysis to run, few enough to take microseconds."""


def warm(clock: Callable[[], float] = default_timer) -> dict[str, float]:
    """Seconds, by `clock`, until each public kernel was ready; tiny inputs, safe to repeat.

    The first entry that needs a shared core pays for it. A few seconds without a disk cache,
    some tenths with one.
    """
    wave = np.sin(np.arange(_SAMPLES) * 0.7) + 0.3 * np.sin(np.arange(_SAMPLES) * 1.9) ** 3
    pair = np.stack([wave, wave[::-1]])
    small, four, signs = _codes(pair)
    calls: dict[str, Callable[[], object]] = {
        "attractor.delay_embed": lambda: attractor.delay_embed(wave, 3, 1),
        "attractor.permutation_entropy": lambda: attractor.permutation_entropy(wave),
        "attractor.lyapunov_rosenstein": lambda: attractor.lyapunov_rosenstein(
            wave, lag=1, horizon=20
        ),
        "attractor.lyapunov_kantz": lambda: attractor.lyapunov_kantz(
            wave, lag=1, horizon=20, radius=3.0
        ),
        "attractor.average_mutual_information": lambda: attractor.average_mutual_information(wave),
        "attractor.choose_dimension": lambda: attractor.choose_dimension(wave, 1, maximum=2),
        "attractor.correlation_dimension": lambda: attractor.correlation_dimension(wave, lag=1),
        "attractor.sample_entropy": lambda: attractor.sample_entropy(wave),
        "attractor.hurst_rs": lambda: attractor.hurst_rs(wave),
        "attractor.dfa": lambda: attractor.dfa(wave),
        "attractor.recurrence": lambda: attractor.recurrence(wave, lag=1),
        "attractor.zero_one_chaos": lambda: attractor.zero_one_chaos(wave),
        "attractor.analyze": lambda: attractor.analyze(wave, "fast"),
        "dtw.envelope": lambda: dtw.envelope(wave, 3),
        "dtw.lb_keogh": lambda: dtw.lb_keogh(wave, wave[::-1], 3),
        "dtw.dtw_distance": lambda: dtw.dtw_distance(pair[0], pair[1], 3),
        "dtw.dtw_distance converted": lambda: dtw.dtw_distance(wave, wave[::-1], 3, 1.0),
        "dtw.dtw_distance channels": lambda: dtw.dtw_distance(pair.T, pair.T),
        "dtw.nearest": lambda: dtw.nearest(wave, pair, 3, 1),
        "dtw.pairwise": lambda: dtw.pairwise(pair, 3),
        "dtw.dtw_path": lambda: dtw.dtw_path(wave, wave[::-1], 3),
        "dtw.subsequence": lambda: dtw.subsequence(wave[:20], wave),
        "dtw.wdtw": lambda: dtw.wdtw(wave, wave[::-1], 3),
        "dtw.msm": lambda: dtw.msm(wave, wave[::-1], 3),
        "embedding.seed_features": lambda: embedding.seed_features(wave),
        "embedding.minirocket_features": lambda: embedding.minirocket_features(wave),
        "vectors.top_k": lambda: vectors.top_k(small, wave, 1),
        "vectors.top_k many": lambda: vectors.top_k(_planned(pair), wave, 1),
        "vectors.top_k int4": lambda: vectors.top_k(four, wave, 1),
        "vectors.top_k sign": lambda: vectors.top_k(signs, wave, 1),
        "vectors.near_duplicates": lambda: vectors.near_duplicates(pair),
        **_formulas(wave),
        "trees.raw": lambda: _tree({}).raw([0.0]),
        "trees.raw categories": lambda: _tree({"categorical": [0], "categories": [0.0]}).raw([0.0]),
        "forecast.holt_winters": lambda: forecast.holt_winters(wave, 2, 4),
    }
    return {name: _seconds(call, clock) for name, call in calls.items()}


def ready() -> frozenset[str]:
    """Names of the kernels with machine code in this process (those inlined in others excluded)."""
    return frozenset(
        name for name, kernel in KERNELS.items() if getattr(kernel, "signatures", None)
    )


def _formulas(wave: NDArray[np.float64]) -> dict[str, Callable[[], object]]:
    trace = {"x": wave}
    bounded, endless = (temporal_logic.Monitor(f) for f in ("G[0,3](x > 0)", "G(x > 0)"))
    return {
        "temporal_logic.robustness": lambda: temporal_logic.robustness("G[0,3](x > 0)", trace),
        "temporal_logic.verdict": lambda: temporal_logic.verdict("G(x > 0)", trace),
        "temporal_logic.Monitor": lambda: bounded.update(trace),
        "temporal_logic.Monitor endless": lambda: endless.update(trace),
    }


def _tree(categories: dict[str, list[float]]) -> trees.Trees:
    """One leaf; with categories evaluated by the kernel that knows sets."""
    known = {name: np.array(values) for name, values in categories.items()}
    arrays = {
        "nodes": np.array([[-1, 0, 0, 0, -1]]),
        "values": np.zeros(1),
        "sets": np.zeros((len(known) // 2, 4), np.uint64),
        "roots": np.zeros(1, np.int64),
        "start": np.zeros(1),
        "categorical": np.zeros(0, np.int64),
        "categories": np.zeros(0),
        "offsets": np.arange(len(known) // 2 + 1),
    }
    return trees.Trees(Arrays.of({**arrays, **known}), 1, "identity", (), single_precision=False)


def _codes(rows: NDArray[np.float64]) -> tuple[Codes, Codes, Codes]:
    return vectors.quantize_int8(rows), vectors.quantize_int4(rows), vectors.sign_codes(rows)


def _planned(rows: NDArray[np.float64]) -> Codes:
    """Codes that are searched as if they were many."""
    codes = vectors.quantize_int8(rows)
    for _ in range(2):
        codes.plane(fewest=0)
    return codes


def _seconds(call: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    call()
    return clock() - start

"""Warping and its relatives against dtaidistance and aeon."""

from __future__ import annotations

from functools import partial
from importlib import import_module

import numpy as np

from benchmarks import aeon_peer
from kernels import dtw
from tests.oracle.agreement import Agreement

LENGTH = 200


def walks(count=2, length=LENGTH):
    rows = np.cumsum(np.random.default_rng(11).normal(size=(count, length)), axis=1)
    return (rows - rows.mean(axis=1, keepdims=True)) / rows.std(axis=1, keepdims=True)


def dtaidistance(module="dtw"):
    return import_module(f"dtaidistance.{module}")


def by_dtaidistance(window):
    x, y = walks()
    return dtaidistance().distance_fast(x, y, window=None if window is None else window + 1)


def by_aeon(function, arguments, *, root=False):
    """aeon does not take the root of a sum of squares; its window is a share of the length."""
    x, y = walks()
    found = aeon_peer.value(aeon_peer.Request(function, x.tolist(), y.tolist(), arguments))
    return found**0.5 if root else found


def of_ours(function, *arguments):
    return function(*walks(), *arguments)


def _aeon(kernel, what, ours, theirs):
    return Agreement(
        kernel, "aeon", f"two walks of {LENGTH}, {what}", ours, theirs, found=aeon_peer.present
    )


def first_match(query, series):
    match = dtaidistance("subsequence.dtw").subsequence_alignment(query, series, penalty=0)
    return match.best_match().value * len(query)


AGREEMENTS = (
    *(
        Agreement(
            "dtw_distance",
            "dtaidistance",
            f"two walks of {LENGTH}, window {window}",
            partial(of_ours, dtw.dtw_distance, window),
            partial(by_dtaidistance, window),
        )
        for window in (0, 10, None)
    ),
    Agreement(
        "dtw_distance, 3 channels",
        "dtaidistance",
        "walks of 90 and 70 samples",
        lambda: dtw.dtw_distance(walks(3, 90).T, walks(6, 70)[3:].T),
        lambda: dtaidistance("dtw_ndim").distance(walks(3, 90).T, walks(6, 70)[3:].T),
    ),
    Agreement(
        "dtw_path",
        "dtaidistance",
        f"two walks of {LENGTH}: cost of its path on theirs",
        lambda: sum((walks()[0][i] - walks()[1][j]) ** 2 for i, j in dtw.dtw_path(*walks()).pairs),
        lambda: sum(
            (walks()[0][i] - walks()[1][j]) ** 2 for i, j in dtaidistance().warping_path(*walks())
        ),
    ),
    Agreement(
        "lb_keogh",
        "dtaidistance",
        f"two walks of {LENGTH}, window 10",
        # dtaidistance takes the envelope of its second argument, and no more than window - 1.
        lambda: dtw.lb_keogh(walks()[1], walks()[0], 10),
        lambda: dtaidistance().lb_keogh(walks()[0], walks()[1], window=11),
    ),
    Agreement(
        "subsequence",
        "dtaidistance",
        "a walk of 40 in a walk of 400, the best distance",
        lambda: dtw.subsequence(walks(2, 400)[0][:40] + 0.1, walks(2, 400)[1])[0].distance,
        lambda: first_match(walks(2, 400)[0][:40] + 0.1, walks(2, 400)[1]),
    ),
    *(
        _aeon(
            "dtw_distance",
            f"window {window}",
            partial(of_ours, dtw.dtw_distance, window),
            partial(by_aeon, "dtw_distance", {"window": share}, root=True),
        )
        for window, share in ((10, 10.5 / LENGTH), (None, None))
    ),
    _aeon(
        "ddtw",
        "no window",
        partial(of_ours, dtw.ddtw),
        partial(by_aeon, "ddtw_distance", {}, root=True),
    ),
    *(
        _aeon(
            "wdtw",
            f"g {g}",
            partial(of_ours, dtw.wdtw, None, g),
            partial(by_aeon, "wdtw_distance", {"g": g}, root=True),
        )
        for g in (0.05, 0.3)
    ),
    *(
        _aeon(
            "msm",
            f"c {c}, window {window}",
            partial(of_ours, dtw.msm, window, c),
            partial(by_aeon, "msm_distance", {"c": c, "window": share}),
        )
        for c, window, share in ((1.0, None, None), (0.1, 20, 20.5 / LENGTH))
    ),
)

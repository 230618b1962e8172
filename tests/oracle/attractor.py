"""Attractor analysis against nolds, antropy and neurokit2."""

from __future__ import annotations

from functools import cache
from importlib import import_module

import numpy as np

from kernels import attractor, delay, divergence, neighbours
from kernels.series import standardise
from tests.kernels import systems
from tests.oracle.agreement import Agreement


@cache
def _noise(size=1000):
    return np.random.default_rng(7).normal(size=size)


def _lorenz():
    return systems.lorenz(1000)


def _nolds(name, *arguments, **options):
    return getattr(import_module("nolds"), name)(*arguments, **options)


def _antropy(name, *arguments, **options):
    return getattr(import_module("antropy"), name)(*arguments, **options)


def _neurokit2(series, measure):
    module = import_module("neurokit2")
    radius = 0.35 * float(series.std())
    return module.complexity_rqa(series, dimension=3, delay=6, tolerance=radius)[0][measure][0]


def _recurrence(measure):
    return getattr(attractor.recurrence(_lorenz(), dimension=3, lag=6, radius=0.35), measure)


def _radii(series):
    deviation = float(series.std(ddof=1))
    return np.array(_nolds("logarithmic_r", 0.1 * deviation, 0.5 * deviation, 1.03))


def _slope_over_all_steps():
    """Rosenstein's curve from our neighbours, fitted over every step as nolds does."""
    vectors = delay.delay_embed(standardise(systems.henon(1000)), 3, 1)
    usable = len(vectors) - 9
    partners, _ = neighbours.nearest_apart(vectors, np.arange(usable), usable, 5)
    pairs = np.stack([np.arange(usable), partners], axis=1)
    curve = divergence.follow(
        standardise(systems.henon(1000)), vectors, pairs, np.arange(10), 1
    ).mean()
    return np.polyfit(np.arange(10), curve, 1)[0]


def _slope_with_self_matches():
    radii = _radii(_lorenz()) / float(_lorenz().std())
    found = attractor.correlation_dimension(_lorenz(), dimension=5, lag=5, theiler=0, radii=radii)
    itself = 1 / (1000 - 4 * 5 - 1)
    return np.polyfit(np.log(found.radii), np.log(np.array(found.sums) + itself), 1)[0]


SIZES = np.array([8, 12, 16, 24, 32, 48, 64, 96])

AGREEMENTS = (
    Agreement(
        "permutation_entropy",
        "antropy",
        "Hénon, 1 000 samples, order 4, delay 2",
        lambda: attractor.permutation_entropy(systems.henon(1000), 4, 2),
        lambda: _antropy("perm_entropy", systems.henon(1000), 4, 2, normalize=True),
    ),
    Agreement(
        "sample_entropy",
        "antropy",
        "white noise, 1 000 samples, dimension 2, 0.2 deviations",
        lambda: attractor.sample_entropy(_noise()),
        lambda: _antropy("sample_entropy", _noise()),
    ),
    Agreement(
        "sample_entropy",
        "nolds",
        "white noise, 1 000 samples, dimension 2, 0.2 deviations",
        lambda: attractor.sample_entropy(_noise()),
        lambda: _nolds("sampen", _noise(), 2, tolerance=0.2 * float(_noise().std())),
        relative=0.005,
        why="it also counts the last stretch, which has no sample after it",
    ),
    Agreement(
        "lyapunov_rosenstein",
        "nolds",
        "Hénon, 1 000 samples, dimension 3; the slope over all of ten steps",
        _slope_over_all_steps,
        lambda: _nolds(
            "lyap_r",
            systems.henon(1000),
            emb_dim=3,
            lag=1,
            min_tsep=5,
            trajectory_len=10,
            fit="poly",
        ),
        why="our own answer fits the straight part only: 0.41, the literature's is 0.42",
    ),
    Agreement(
        "correlation_dimension",
        "nolds",
        "Lorenz x, 1 000 samples, dimension 5, lag 5, 55 given radii",
        _slope_with_self_matches,
        lambda: _nolds("corr_dim", _lorenz(), 5, lag=5, rvals=_radii(_lorenz()), fit="poly"),
        why="it counts each vector as close to itself, which our own answer (1.77) does not",
    ),
    Agreement(
        "hurst_rs",
        "nolds",
        "white noise, 1 000 samples, default window lengths",
        lambda: attractor.hurst_rs(_noise()),
        lambda: _nolds("hurst_rs", _noise(), fit="poly"),
    ),
    Agreement(
        "dfa",
        "nolds",
        "white noise, 1 000 samples, 8 window lengths, overlapping",
        lambda: attractor.dfa(_noise(), SIZES),
        lambda: _nolds("dfa", _noise(), nvals=SIZES, fit_exp="poly"),
    ),
    Agreement(
        "dfa",
        "nolds",
        "the same, order 2, not overlapping",
        lambda: attractor.dfa(_noise(), SIZES, order=2, overlap=False),
        lambda: _nolds("dfa", _noise(), nvals=SIZES, fit_exp="poly", order=2, overlap=False),
    ),
    Agreement(
        "dfa",
        "antropy",
        "white noise, 1 000 samples, default window lengths, not overlapping",
        lambda: attractor.dfa(_noise(), overlap=False),
        lambda: _antropy("detrended_fluctuation", _noise()),
        relative=1e-6,
    ),
    *(
        Agreement(
            "recurrence",
            "neurokit2",
            f"{ours} of Lorenz x, 1 000 samples, dimension 3, lag 6, 0.35 deviations",
            lambda name=ours: _recurrence(name),
            lambda name=theirs: _neurokit2(_lorenz(), name),
        )
        for ours, theirs in (
            ("RR", "RecurrenceRate"),
            ("DET", "Determinism"),
            ("L", "L"),
            ("ENTR", "LEn"),
            ("LAM", "Laminarity"),
            ("TT", "TrappingTime"),
        )
    ),
)

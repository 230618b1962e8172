"""Noise that shares a series' distribution and spectrum, but nothing else of it."""

from __future__ import annotations

import numpy as np

from kernels.series import Floats

_ITERATIONS = 12
_SEED = 20_071


def shuffle_phases(x: Floats, count: int) -> Floats:
    """`count` surrogates, shape (count, n), by IAAFT (Schreiber & Schmitz 1996); always the same.

    Alternates between the amplitudes of the spectrum and the values of the series; ends on the
    values, so each surrogate is a permutation of `x`.
    """
    random = np.random.default_rng(_SEED)
    values = np.sort(x)
    amplitudes = np.abs(np.fft.rfft(x))
    surrogates = np.stack([random.permutation(x) for _ in range(count)])
    for _ in range(_ITERATIONS):
        spectra = np.fft.rfft(surrogates, axis=1)
        spectra *= amplitudes / np.maximum(np.abs(spectra), 1e-300)
        ranks = np.argsort(np.fft.irfft(spectra, x.size, axis=1), axis=1)
        np.put_along_axis(surrogates, ranks, np.broadcast_to(values, ranks.shape), axis=1)
    return surrogates

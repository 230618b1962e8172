"""Series of any length as vectors of 384 numbers that are close when the shapes are alike.

Two encoders, both without training:

* `seed-384` = 32 statistics + 128 spectral amplitudes + 64 warping distances to fixed shapes + 160
  wavelet figures; each dimension can be named and explained.
* `minirocket-384` = 336 shares of MiniRocket + 48 statistics; tells more classes apart, and is the
  one to choose for search.

All but the mean and the deviation (signed logarithms) describe the standardised shape, resampled
to 256 points. The dimensions have different units: a `Scaler`, fitted on the collection that
vectors are stored in and kept with it, makes them comparable; without it the raw figures come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernels import blocks, minirocket
from kernels.prototypes import prototype_columns
from kernels.scaler import Scaler
from kernels.series import Floats, as_series, as_series_list
from kernels.shapes import POINTS, shapes_of

__all__ = [
    "DIMENSIONS",
    "ENCODERS",
    "MINIROCKET",
    "SEED",
    "Scaler",
    "fit_scaler",
    "minirocket_features",
    "seed_features",
    "transform",
]

DIMENSIONS = 384
SHORTEST = 8
"""Samples; fewer have no shape to speak of."""

WARPING_WINDOW = 6
"""Of 64 points: about a tenth, where warping helps most on the public archives."""

SEED: Final = "seed-384"
STATISTICAL = slice(0, 32)
SPECTRAL = slice(32, 160)
WARPING = slice(160, 224)
WAVELET = slice(224, 384)

MINIROCKET: Final = "minirocket-384"
SHARES = slice(0, 336)
FIGURES = slice(336, 384)
"""The 32 statistics, power in 8 octaves, energy on 8 wavelet levels."""

_PROTOTYPES = prototype_columns()
_OCTAVES = (1 << np.arange(8)) - 1

Vectors = NDArray[np.float32]


def seed_features(x: ArrayLike, scaler: Scaler | None = None) -> Vectors:
    """The `seed-384` vector of one series of at least 8 finite samples; shape (384,), finite.

    A constant series has zeros for its shape. Raises ValueError for NaN, infinity, other shapes
    and shorter input, and for a scaler of another encoder.
    """
    vector: Vectors = _encode([as_series(x, "x", SHORTEST)], SEED, scaler)[0]
    return vector


def minirocket_features(x: ArrayLike, scaler: Scaler | None = None) -> Vectors:
    """The `minirocket-384` vector of one series; otherwise as `seed_features`."""
    vector: Vectors = _encode([as_series(x, "x", SHORTEST)], MINIROCKET, scaler)[0]
    return vector


def transform(xs: ArrayLike, encoder: str = SEED, scaler: Scaler | None = None) -> Vectors:
    """The vectors of many series (2-D array or list, lengths free); shape (count, 384).

    Each row equals that encoder's vector of the series alone. Raises ValueError naming the bad
    one.
    """
    return _encode(as_series_list(xs, "xs", SHORTEST), encoder, scaler)


def fit_scaler(xs: ArrayLike, encoder: str = SEED, version: int = 1) -> Scaler:
    """The scaler of a collection: mean and deviation over the raw vectors of these series."""
    return Scaler.fit(transform(xs, encoder), encoder, version)


def _encode(series: list[Floats], encoder: str, scaler: Scaler | None) -> Vectors:
    if encoder not in ENCODERS:
        raise ValueError(f"encoder is {encoder!r}; choose one of {', '.join(sorted(ENCODERS))}")
    if scaler is not None and scaler.encoder != encoder:
        raise ValueError(
            f"the scaler was fitted for {scaler.encoder!r}, not {encoder!r}; pass that encoder's"
        )
    offsets = np.zeros(len(series) + 1, np.int64)
    np.cumsum([x.size for x in series], out=offsets[1:])
    shapes, levels = shapes_of(np.concatenate(series), offsets)
    vectors = ENCODERS[encoder](shapes, levels).astype(np.float32)
    return vectors if scaler is None else scaler.apply(vectors)


def _seed(shapes: Floats, levels: Floats) -> Floats:
    features = _described(shapes, levels)
    features[:, SPECTRAL] = np.sqrt(_amplitudes(shapes))
    blocks.warp(shapes, _PROTOTYPES, WARPING_WINDOW, features)
    return features


def _minirocket(shapes: Floats, levels: Floats) -> Floats:
    described = _described(shapes, levels)
    powers = np.add.reduceat(_amplitudes(shapes) ** 2, _OCTAVES, axis=1)
    return np.hstack(
        [
            minirocket.shares(shapes),
            described[:, STATISTICAL],
            np.log1p(POINTS * powers),
            described[:, 352:384:4],
        ]
    )


ENCODERS: Final[dict[str, Callable[[Floats, Floats], Floats]]] = {
    SEED: _seed,
    MINIROCKET: _minirocket,
}
"""Encoders by the name that is stored with vectors; what a name stands for never changes."""


def _described(shapes: Floats, levels: Floats) -> Floats:
    """Statistics and wavelets in their columns of `seed-384`, zeros in the others."""
    features = np.zeros((len(shapes), DIMENSIONS))
    features[:, :2] = levels
    blocks.statistics(shapes, features)
    blocks.wavelets(shapes, features)
    return features


def _amplitudes(shapes: Floats) -> Floats:
    """Of the 128 frequencies above zero."""
    amplitudes: Floats = np.abs(np.fft.rfft(shapes, axis=1))[:, 1:] / POINTS
    return amplitudes

"""64 analytic shapes that a series is compared with; fixed for ever, since features are stored."""

from __future__ import annotations

import numpy as np

from kernels.series import Floats, standardise

LENGTH = 64
COUNT = 64


def prototype_columns() -> Floats:
    """The shapes, standardised, one per column: shape (LENGTH, COUNT).

    No random generator is asked: its stream may change with its version, and with it the
    meaning of every stored vector.
    """
    t = (np.arange(LENGTH) + 0.5) / LENGTH
    shapes = [*_waves(t), *_steps(t), *_bumps(t), *_others(t)]
    return np.ascontiguousarray(np.stack([standardise(shape) for shape in shapes], axis=1))


def _waves(t: Floats) -> list[Floats]:
    return [
        np.sin(2 * np.pi * cycles * t + quarter * np.pi / 2)
        for cycles in (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
        for quarter in range(4)
    ]


def _steps(t: Floats) -> list[Floats]:
    return [sign * np.sign(t - at) for at in (0.25, 0.5, 0.75) for sign in (1.0, -1.0)]


def _bumps(t: Floats) -> list[Floats]:
    centres = [k / 6 for k in range(1, 6)]
    kinds = ((1.0, 0.05), (1.0, 0.12), (-1.0, 0.08))
    return [s * np.exp(-0.5 * ((t - c) / w) ** 2) for s, w in kinds for c in centres]


def _others(t: Floats) -> list[Floats]:
    valley = np.abs(t - 0.5)
    return [
        t,
        -t,
        valley,
        -valley,
        (2 * t) % 1.0,
        (4 * t) % 1.0,
        np.sign(np.sin(4 * np.pi * t)),
        np.sign(np.sin(8 * np.pi * t)),
        np.sin(2 * np.pi * (t + 4 * t * t)),
        np.sin(2 * np.pi * (t + 4 * t * t))[::-1],
        np.exp(-4 * t) * np.sin(12 * np.pi * t),
    ]

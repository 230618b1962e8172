"""Attractor analysis against nolds, antropy and neurokit2."""

from __future__ import annotations

from importlib import import_module

import numpy as np

from kernels import attractor
from tests.kernels import systems
from tests.oracle.agreement import Agreement


def _noise(size=1000):
    return np.random.default_rng(7).normal(size=size)


AGREEMENTS = (
    Agreement(
        "permutation_entropy",
        "antropy",
        "Hénon, 1 000 samples, order 4, delay 2",
        lambda: attractor.permutation_entropy(systems.henon(1000), 4, 2),
        lambda: import_module("antropy").perm_entropy(systems.henon(1000), 4, 2, normalize=True),
    ),
)

"""From series to vectors: which kernel a namespace's encoder is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patterns.errors import wrong
from patterns.late import embedding
from patterns.models import Namespace

MAX_SERIES = 1000
"""Series per request."""
MAX_SAMPLES = 1_000_000
"""Samples of all of them: at 256 each, half a second of work."""

DIMENSIONS: Mapping[str, int] = {Namespace.Encoder.MINIROCKET: 384, Namespace.Encoder.SEED: 384}
"""Of each encoder of `kernels.embedding`, by the name that is stored."""


def encode(namespace: Namespace, series: Sequence[Any]) -> NDArray[np.float32]:
    """Vectors of many series, as they are stored: shape (count, dimension). Raises Invalid."""
    if not namespace.encoder:
        raise wrong("/series", f"{namespace} has no encoder: give vectors, or make one that has")
    if len(series) > MAX_SERIES:
        raise wrong("/series", f"has {len(series)} series, at most {MAX_SERIES} at once")
    total = sum(len(one) if hasattr(one, "__len__") else 1 for one in series)
    if total > MAX_SAMPLES:
        raise wrong("/series", f"has {total} samples, at most {MAX_SAMPLES} at once")
    try:
        return embedding.transform(list(series), namespace.encoder)
    except ValueError as error:
        raise wrong("/series", str(error)) from error

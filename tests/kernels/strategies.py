"""What the kernels are fed: ordinary, constant, tiny and awkward series."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

checked = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

compiled_only = pytest.mark.skipif(
    numba.config.DISABLE_JIT, reason="takes minutes when numba is disabled"
)

values = st.one_of(
    st.floats(-1e3, 1e3).map(lambda v: round(v, 3)),
    st.sampled_from([0.0, 1.0, -1.0, 1e-9]),
)


def series(low=1, high=24):
    free = st.lists(values, min_size=low, max_size=high)
    constant = st.builds(lambda v, n: [v] * n, values, st.integers(low, high))
    return st.one_of(free, constant).map(np.array)


def in_other_clothes(x):
    """The same numbers as arrays that numba would compile anew for."""
    spread = np.zeros(2 * x.size)
    spread[::2] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    backwards = x[::-1].copy()[::-1]
    swapped = x.astype(x.dtype.newbyteorder())
    return [spread[::2], frozen, backwards, swapped, x.tolist(), np.float64(x)]

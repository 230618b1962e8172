"""One decorator for every compiled kernel, and the list of them.

numba ships no type stubs, so the untyped decorator is wrapped once, here. All kernels share
one policy: the machine code is kept on disk (`cache`), the GIL is released (`nogil`), nothing
runs in parallel (a forked Celery child that enters a GNU OpenMP region is killed) and no
fast-math (it turns comparisons with infinity and NaN into nonsense).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

KERNELS: dict[str, Callable[..., Any]] = {}
"""Every compiled function by `module.name`: what `warm` and the one-compile test walk over."""


def jit(function: Kernel) -> Kernel:
    """Compile `function` at its first call, for the one set of types its caller converts to.

    A read-only installation without NUMBA_CACHE_DIR has nowhere to keep machine code; numba
    then refuses at import. Compiling anew in each process is slower but works, so we do that.
    """
    try:
        compiled = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:
        compiled = numba.njit(nogil=True, error_model="numpy")(function)
    KERNELS[f"{function.__module__}.{function.__name__}"] = compiled
    return cast("Kernel", compiled)


def compiled_signatures(kernel: Callable[..., Any]) -> int:
    """How many type combinations `kernel` was compiled for (0 when numba is disabled)."""
    return len(getattr(kernel, "signatures", ()))

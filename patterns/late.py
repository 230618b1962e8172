"""The compiled kernels, loaded by who first computes with them.

They bring numba: a third of a second and 100 MB, which a command that lists tasks should not pay
because the admin knows namespaces. Workers load them before they fork.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from django.utils.functional import SimpleLazyObject

if TYPE_CHECKING:
    from kernels import embedding, vectors
else:
    embedding = SimpleLazyObject(partial(import_module, "kernels.embedding"))
    vectors = SimpleLazyObject(partial(import_module, "kernels.vectors"))

__all__ = ["embedding", "vectors"]

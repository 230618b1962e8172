"""Heavy packages, loaded by who first computes with them.

numba, onnxruntime and the tokenizer bring a second and 100 MB, which a worker that never calls a
model and a command that lists budgets should not pay.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from django.utils.functional import SimpleLazyObject

if TYPE_CHECKING:
    import onnx
    import onnxruntime
    import tokenizers

    from kernels import vectors
else:
    onnx = SimpleLazyObject(partial(import_module, "onnx"))
    onnxruntime = SimpleLazyObject(partial(import_module, "onnxruntime"))
    tokenizers = SimpleLazyObject(partial(import_module, "tokenizers"))
    vectors = SimpleLazyObject(partial(import_module, "kernels.vectors"))

__all__ = ["onnx", "onnxruntime", "tokenizers", "vectors"]

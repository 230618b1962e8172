"""Results that are kept: a bounded cache whose key is as invariant as the analysis is.

A key is the digest of the standardised series, rounded to a billionth of a standard deviation
(what rescaling to other units changes is far less), with its length, the parameters and the
version of the kernels. The raw values never enter it: rounding those would make all series of
small amplitude one.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from threading import Lock
from typing import Generic, TypeVar

import numpy as np

from kernels.series import Floats

VERSION = 2
"""Raised whenever a kernel answers differently."""

QUANTUM = 1e-9
Value = TypeVar("Value")


def digest(standard: Floats, *parameters: object) -> bytes:
    """The key of a standardised series and parameters whose repr says all about them."""
    rounded = np.rint(standard * (1 / QUANTUM)).astype(np.int64)
    hashed = blake2b(rounded.tobytes(), digest_size=16)
    hashed.update(repr((VERSION, standard.size, parameters)).encode())
    return hashed.digest()


class Kept(Generic[Value]):
    """The last `size` results that were asked for; safe to use from several threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[bytes, Value] = OrderedDict()
        self._lock = Lock()

    def get(self, key: bytes) -> Value | None:
        """The result under a key, which now counts as the latest, or None."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: bytes, value: Value) -> None:
        """Keep a result; the one that nobody asked for the longest goes when there are too many."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._values.clear()

    def __len__(self) -> int:
        return len(self._values)

"""The boundary for series of one or several channels: as (channels, samples), float64.

What already is a plain float64 vector passes without being read: the cores look at every value
anyway and answer with a mark, and only then is it read here to say what is wrong. That check in
numpy costs more than the distance of two short series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernels.dtw_search import all_valid
from kernels.series import Floats, Integers, as_series, as_series_list

_DOUBLE = np.dtype(np.float64)
_ONE, _SEVERAL = 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """Many series behind each other: shape (channels, all samples), and where each begins."""

    flat: Floats
    offsets: Integers

    def __len__(self) -> int:
        return self.offsets.size - 1

    @property
    def longest(self) -> int:
        """Samples of the longest series."""
        return int(np.diff(self.offsets).max())

    def series(self, index: int) -> Floats:
        """One of them, shape (channels, samples), on its own."""
        return self.flat[:, self.offsets[index] : self.offsets[index + 1]].copy()

    def part(self, start: int, stop: int) -> Collection:
        """Those from `start` to before `stop`."""
        offsets = self.offsets[start : stop + 1]
        flat = np.ascontiguousarray(self.flat[:, offsets[0] : offsets[-1]])
        return Collection(flat, offsets - offsets[0])

    def points(self, index: int) -> Floats:
        """One of them as a caller would pass it: (samples,), or (samples, channels)."""
        part = self.series(index)
        return part[0] if len(part) == _ONE else np.ascontiguousarray(part.T)


def are_plain(x: object, y: object) -> bool:
    """Whether both are vectors that the cores take as they are."""
    return (
        type(x) is np.ndarray
        and type(y) is np.ndarray
        and x.dtype is _DOUBLE
        and y.dtype is _DOUBLE
        and x.ndim == _ONE
        and y.ndim == _ONE
        and x.flags.carray
        and y.flags.carray
    )


def as_channels(x: ArrayLike, name: str = "x") -> Floats:
    """`x` of shape (n,) or (n, channels) as (channels, n); plain vectors are not looked at yet."""
    if _is_plain(x):
        vector: Floats = x  # type: ignore[assignment]
        if vector.flags.carray:
            return vector[None]
    return checked_channels(x, name)


def checked_channels(x: ArrayLike, name: str = "x") -> Floats:
    """The same; ValueError names the first value that is not finite, or too large to square."""
    if isinstance(x, np.ndarray) or not _is_vector(x):
        array = np.asarray(x)
        if array.ndim == _SEVERAL and array.shape[1]:
            return np.stack(as_series_list(array.T, name))
    return as_series(x, name)[None]


def collect(candidates: ArrayLike | Collection, name: str = "candidates") -> Collection:
    """Series to search in, converted once for many queries.

    A 2-D array has one series per row, a 3-D array is (series, samples, channels); a list may
    hold series of different lengths. Raises ValueError for bad ones, by index.
    """
    if isinstance(candidates, Collection):
        return candidates
    plain = _plain_collection(candidates)
    if plain is not None and all_valid(plain.flat):
        return plain
    return _checked_collection(candidates, name)


def check_alike(*parts: tuple[str, Floats]) -> None:
    """ValueError unless all have the same number of channels."""
    (first, one), *others = parts
    for name, other in others:
        if other.shape[0] != one.shape[0]:
            raise ValueError(
                f"{first} has {one.shape[0]} channels and {name} {other.shape[0]}; "
                "series are compared channel by channel, pass the same ones of both"
            )


def _is_plain(x: object) -> bool:
    return type(x) is np.ndarray and x.dtype is _DOUBLE and x.ndim == _ONE and x.size > 0


def _is_vector(x: object) -> bool:
    return isinstance(x, Sequence) and len(x) > 0 and isinstance(x[0], float | int)


def _plain_collection(candidates: Any) -> Collection | None:
    """Float64 rows or vectors, not looked at; None for anything else."""
    if type(candidates) is np.ndarray:
        if candidates.ndim != _SEVERAL or candidates.dtype is not _DOUBLE or not candidates.size:
            return None
        rows: Floats = np.require(candidates, requirements=["C", "A", "W"])
        return Collection(rows.reshape(1, -1), np.arange(len(rows) + 1) * rows.shape[1])
    if not isinstance(candidates, list | tuple) or not all(map(_is_plain, candidates)):
        return None
    return _joined([c[None] for c in candidates]) if candidates else None


def _checked_collection(candidates: ArrayLike, name: str) -> Collection:
    array = candidates if isinstance(candidates, np.ndarray) else None
    if array is not None and array.dtype != object and array.ndim == 1 + _SEVERAL:
        return _stacked(array, name)
    if isinstance(candidates, Sequence) and candidates and np.ndim(_first(candidates)) == _SEVERAL:
        parts = [checked_channels(c, f"{name}[{i}]") for i, c in enumerate(candidates)]
        check_alike(*((f"{name}[{i}]", part) for i, part in enumerate(parts)))
        return _joined(parts)
    return _joined([row[None] for row in as_series_list(candidates, name)])


def _first(candidates: Sequence[Any]) -> Any:
    """The first candidate, or nothing if it is too ragged to have a shape."""
    try:
        return np.asarray(candidates[0])
    except ValueError:
        return 0


def _stacked(block: NDArray[Any], name: str) -> Collection:
    count, samples, channels = block.shape
    if not block.size:
        raise ValueError(f"{name} has shape {block.shape}; pass at least one series of one sample")
    flat = checked_channels(block.reshape(count * samples, channels), name)
    return Collection(flat, np.arange(count + 1) * samples)


def _joined(parts: list[Floats]) -> Collection:
    offsets = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([part.shape[1] for part in parts], out=offsets[1:])
    return Collection(np.ascontiguousarray(np.concatenate(parts, axis=1)), offsets)

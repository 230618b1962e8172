"""Nearest of very many vectors: small codes are scanned, the best few compared in float32.

A scan of int8 codes reads a quarter of the memory of float32 and nothing needs to be built,
rebalanced or locked; up to some hundred thousand vectors it is faster than a graph index and
misses nothing, because the few best by code are ranked anew by their exact scores (`rerank`).

Scores grow with closeness: the inner product ("dot"), the cosine of the angle ("cosine"), or
the negative Euclidean distance ("euclidean"; ranked in a scan by q·v - |v|²/2, whose order is
the same). Codes are symmetric, with one scale per row: value ≈ code × scale.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernels import coarse, rows, scans
from kernels.duplicates import near_duplicates
from kernels.rows import Metric, Vectors
from kernels.series import Integers, as_count

__all__ = [
    "Codes",
    "Matches",
    "near_duplicates",
    "quantize_int4",
    "quantize_int8",
    "rerank",
    "sign_codes",
    "top_k",
]

Kind = Literal["int8", "int4", "sign"]

MAX_NEIGHBOURS = 4096
"""Results per query; more are a job for an export."""

COARSE_FROM = 16 << 20
"""Bytes of int8 codes from which a search looks at four bits of each first."""

_LARGEST = {"int8": 127.0, "int4": 7.0}
_INT4_CLIP = 2.5
"""Root mean squares kept by four bits; the few values beyond would make all others coarse."""


@dataclass(slots=True)
class _Seen:
    """What was made of codes on the way."""

    asked: bool = False
    plane: coarse.Plane | None = None


@dataclass(frozen=True, slots=True)
class Codes:
    """Quantised rows. `values`: int8 (n, d), uint8 (n, ceil(d/2)) or uint64 (n, ceil(d/64)).

    `scales` and `offsets` are float32 (n,): score ≈ code product × scales + offsets. Everything
    is contiguous and checked here once, because scans check nothing. Raises ValueError.
    Once searched, the values are not to change: of many a summary is kept, see `plane`.
    """

    kind: Kind
    dimension: int
    values: NDArray[Any]
    scales: Vectors
    offsets: Vectors
    _seen: _Seen = field(default_factory=_Seen, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        width, dtype = {
            "int8": (self.dimension, np.dtype(np.int8)),
            "int4": ((self.dimension + 1) // 2, np.dtype(np.uint8)),
            "sign": ((self.dimension + 63) // 64, np.dtype(np.uint64)),
        }[self.kind]
        shape = (len(self.values), width)
        if self.values.shape != shape or self.values.dtype != dtype:
            raise ValueError(
                f"{self.kind} codes of {self.dimension} dimensions are {dtype} of shape {shape}, "
                f"not {self.values.dtype} of {self.values.shape}; make them with the quantizers"
            )
        for name in ("values", "scales", "offsets"):
            array = np.require(getattr(self, name), requirements=["C", "A", "W", "E"])
            object.__setattr__(self, name, array)
        if not self.scales.shape == self.offsets.shape == (len(self.values),):
            raise ValueError("scales and offsets need one float32 per row of codes")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def nbytes(self) -> int:
        """Bytes of all three arrays."""
        return self.values.nbytes + self.scales.nbytes + self.offsets.nbytes

    def plane(self, fewest: int = COARSE_FROM) -> coarse.Plane | None:
        """Four bits of each code, for a first look; None while that would not pay.

        It does for `fewest` bytes of int8 codes, those that no cache holds, and from the second
        time it is asked for; it takes half as much memory as the values.
        """
        if self._seen.plane is None and self.kind == "int8" and self.values.nbytes >= fewest:
            if self._seen.asked:
                self._seen.plane = coarse.plane_of(self.values)
            self._seen.asked = True
        return self._seen.plane


class Matches(NamedTuple):
    """Rows by falling score, equal scores by rising row.

    One query: shape (found,), found ≤ k. Many queries: shape (m, k), unused places -1 and -inf.
    """

    indices: Integers
    scores: Vectors


def quantize_int8(vectors: ArrayLike, metric: Metric = "dot") -> Codes:
    """Eight bits per value: shape (n, d) in, a row is within scale/2 of its code in every value.

    "cosine" takes rows to unit length first, "euclidean" keeps their lengths in `offsets`.
    """
    return _quantize(vectors, metric, "int8")


def quantize_int4(vectors: ArrayLike, metric: Metric = "dot") -> Codes:
    """Four bits per value, clipped at 2.5 root mean squares: half the memory, for rerank of more.

    Byte j holds value j in its low half and value j + ceil(d/2) in its high half, each plus 8.
    """
    return _quantize(vectors, metric, "int4")


def sign_codes(vectors: ArrayLike) -> Codes:
    """One bit per value (set: above zero); scores are 1 - 2·(share of bits that differ).

    Meant for a first cut of unit vectors with structure: on unstructured ones it misses many.
    """
    matrix = rows.as_rows(vectors, "vectors")
    n, d = matrix.shape
    packed = np.zeros((n, (d + 63) // 64 * 8), np.uint8)
    packed[:, : (d + 7) // 8] = np.packbits(matrix > 0, axis=1)
    scale = np.full(n, -2.0 / d, np.float32)
    return Codes("sign", d, packed.view(np.uint64), scale, np.ones(n, np.float32))


def top_k(codes: Codes, query: ArrayLike, k: int, mask: ArrayLike | None = None) -> Matches:
    """The `k` rows of highest approximate score for a query (d,), or for each of many (m, d).

    `mask` (n,), true where a row counts. For unit ("cosine") codes pass unit queries. Cost is
    linear: about 10 ns per int8 row of 384. There are never more than 4096 results: a larger `k`
    is taken as that. Raises ValueError for other shapes and bad numbers.
    """
    queries, single = rows.as_queries(query, codes.dimension)
    wanted = min(as_count(k, "k", 1), MAX_NEIGHBOURS, max(1, len(codes)))
    use = _as_mask(mask, len(codes))
    indices = np.full((len(queries), wanted), -1, np.int64)
    scores = np.full((len(queries), wanted), -np.inf, np.float32)
    counts = np.zeros(len(queries), np.int64)
    best: tuple[Any, ...] = (codes.scales, codes.offsets, use, indices, scores, counts)
    if codes.kind == "sign":
        with np.errstate(over="ignore"):  # counting bits multiplies modulo 2**64
            scans.scan_signs(codes.values, sign_codes(queries).values, *best)
    else:
        plane = codes.plane() if len(queries) == 1 else None
        width = codes.dimension if plane is None else plane.dither.shape[1]
        factors, units = scans.round_queries(queries, width, _LARGEST["int8"], rows.TINY)
        if plane is not None:
            part = (codes.scales, codes.offsets, use, indices[0], scores[0])
            coarse.scan((plane.words, plane.dither), codes.values, factors, units[0], *part)
        else:
            scan = scans.scan_int8 if codes.kind == "int8" else scans.scan_int4
            scan(codes.values, factors, units, *best)
    return _ordered(indices, scores, single)


def rerank(
    vectors: ArrayLike, query: ArrayLike, candidates: ArrayLike, k: int, metric: Metric = "dot"
) -> Matches:
    """The `k` best of `candidates` (rows of float32 `vectors`) by exact score.

    Shapes: query (d,) with candidates (c,), or (m, d) with (m, c); a candidate -1 is no one.
    Raises ValueError when a candidate is no row.
    """
    matrix = np.asarray(vectors)
    if matrix.ndim != 2 or not matrix.size:  # an empty array has no rows to name
        raise ValueError(f"vectors has shape {matrix.shape}; pass rows, shape (count, dimension)")
    queries, single = rows.as_queries(query, matrix.shape[1])
    chosen = np.atleast_2d(np.asarray(candidates, dtype=np.int64))
    if len(chosen) != len(queries) or (chosen.size and chosen.max() >= len(matrix)):
        raise ValueError(
            f"candidates has shape {chosen.shape} and rows up to {chosen.max(initial=-1)} for "
            f"{len(queries)} queries over {len(matrix)} vectors; pass what top_k returned"
        )
    scores = np.full(chosen.shape, -np.inf, np.float32)
    for number, (one, places) in enumerate(zip(queries, chosen, strict=True)):
        real = places >= 0
        picked = rows.as_rows(matrix[places[real]], "vectors", empty=True)
        scores[number, real] = rows.exact_scores(picked, one, metric)
    return _ordered(chosen, scores, single, as_count(k, "k", 1))


def _quantize(vectors: ArrayLike, metric: Metric, kind: Literal["int8", "int4"]) -> Codes:
    """Block by block, so that no second copy in float32 is held."""
    wanted, source = rows.as_metric(metric), rows.as_matrix(vectors, "vectors")
    n, d = source.shape
    small = np.empty((n, d if kind == "int8" else (d + 1) // 2), np.int8)
    scales, offsets = np.empty(n, np.float32), np.zeros(n, np.float32)
    for block in _blocks(n):
        part = rows.as_rows(source[block], "vectors")
        if wanted == "cosine":
            part = rows.unit(part)
        elif wanted == "euclidean":
            offsets[block] = -0.5 * np.einsum("ij,ij->i", part, part)
        clip = _INT4_CLIP if kind == "int4" else np.inf
        values, scales[block] = _rounded(part, _LARGEST[kind], clip)
        small[block] = values if kind == "int8" else _packed(values)
    whole = small if kind == "int8" else small.view(np.uint8)
    return Codes(kind, d, whole, scales, offsets)


def _blocks(n: int, size: int = 4096) -> Iterator[slice]:
    return (slice(start, min(n, start + size)) for start in range(0, n, size))


def _rounded(
    matrix: Vectors, largest: float, clip: float = np.inf
) -> tuple[NDArray[np.int8], Vectors]:
    """Rows as whole numbers up to `largest`, and the scale of each; a zero row has scale 0."""
    peak = np.abs(matrix).max(axis=1)
    if np.isfinite(clip):
        peak = np.minimum(peak, clip * np.sqrt(np.mean(np.square(matrix), axis=1)))
    scales = np.where(peak > rows.TINY, peak / np.float32(largest), 0).astype(np.float32)
    inverse = np.divide(1, scales, out=np.zeros_like(scales), where=scales > 0)
    values = np.clip(np.rint(matrix * inverse[:, None]), -largest, largest)
    return values.astype(np.int8), scales


def _packed(values: NDArray[np.int8]) -> NDArray[np.int8]:
    n, d = values.shape
    half = (d + 1) // 2
    shifted = np.full((n, 2 * half), 8, np.uint8)
    shifted[:, :d] = values + 8
    packed: NDArray[np.int8] = (shifted[:, :half] | (shifted[:, half:] << 4)).view(np.int8)
    return packed


def _as_mask(mask: ArrayLike | None, n: int) -> NDArray[np.bool_]:
    if mask is None:
        return np.ones(n, np.bool_)
    use = np.asarray(mask)
    if use.shape != (n,) or use.dtype != np.bool_:
        raise ValueError(
            f"mask is {use.dtype} of shape {use.shape}; pass one boolean per row, shape ({n},)"
        )
    return np.require(use, requirements=["C", "A", "W", "E"])


def _ordered(indices: Integers, scores: Vectors, single: bool, k: int | None = None) -> Matches:  # noqa: FBT001
    """By falling score, then by rising row, the first `k` of each query."""
    order = np.lexsort((indices, -scores), axis=1)[:, :k]
    indices = np.take_along_axis(indices, order, axis=1)
    scores = np.take_along_axis(scores, order, axis=1)
    indices[np.isneginf(scores)] = -1
    if not single:
        return Matches(indices, scores)
    found = int(np.count_nonzero(indices[0] >= 0))
    return Matches(indices[0, :found], scores[0, :found])

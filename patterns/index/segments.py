"""Segments: rows written once to a directory of columns, mapped into memory by whoever reads.

    ids.i64  counts.i64  gone.i64  codes.i8  scales.f32  offsets.f32  vectors.f32
    metadata.json (one object after the other)  metadata.i64 (where each begins, and the end)

The files are complete and flushed to the disk before their directory gets its name, so a name
is enough to trust them after a crash; sizes and the checksum of the codes are compared on opening.
Vectors are read by place, not mapped: only what is reranked is ever in memory.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from patterns.filters import Column, find
from patterns.index.parts import BLOCK, Batch
from patterns.late import vectors
from patterns.vectors import Ids, Vectors, kernel_metric

COLUMNS = {
    "ids.i64": np.int64, "counts.i64": np.int64, "gone.i64": np.int64, "codes.i8": np.int8,
    "scales.f32": np.float32, "offsets.f32": np.float32, "vectors.f32": np.float32,
    "metadata.json": np.uint8, "metadata.i64": np.int64,
}  # fmt: skip
MAX_COLUMNS = 16
"""Columns of metadata kept per segment for filters; each takes 12 bytes a row."""


class Damaged(Exception):
    """A segment's files are not what was written; the index is to be made anew."""


class Segment:
    """A part on disk. Raises :class:`Damaged`."""

    def __init__(self, path: Path, told: dict[str, Any]) -> None:
        self.path, self.told = path, told
        self.rows, self.dimension = int(told["rows"]), int(told["dimension"])
        self._columns: dict[str, Column] = {}
        n, d = self.rows, self.dimension
        self._ids: Ids = self._map("ids.i64", n)
        self._counts: Ids = self._map("counts.i64", n)
        self._gone: Ids = self._map("gone.i64", int(told["gone"]))
        self._starts: Ids = self._map("metadata.i64", n + 1)
        codes = self._map("codes.i8", n * d)
        if zlib.crc32(codes) != told["codes_crc32"]:
            raise Damaged(f"{path}: the codes are not those that were written")
        self._codes = vectors.Codes(
            "int8", d, codes.reshape(n, d), self._map("scales.f32", n), self._map("offsets.f32", n)
        )
        self._notes = self._map("metadata.json", int(self._starts[-1]) if n else 0)
        self._vectors = _open(path / "vectors.f32", n * d * 4)

    def __len__(self) -> int:
        return self.rows

    def __del__(self) -> None:
        file = getattr(self, "_vectors", None)
        if file is not None:
            file.close()

    @property
    def ids(self) -> Ids:
        return self._ids

    @property
    def counts(self) -> Ids:
        return self._counts

    @property
    def gone(self) -> Ids:
        return self._gone

    @property
    def codes(self) -> vectors.Codes:
        return self._codes

    def _map(self, name: str, count: int) -> Any:
        dtype = np.dtype(COLUMNS[name])
        with _open(self.path / name, count * dtype.itemsize) as file:
            if not count:
                return np.empty(0, dtype)
            # A private mapping: kernels are compiled for writable arrays only, and the file stays
            # as it is.
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        return np.frombuffer(mapped, dtype)

    def vectors(self, places: Ids) -> Vectors:
        """The float32 rows at those places, read from the file."""
        out = np.empty((len(places), self.dimension), np.float32)
        width = out.itemsize * self.dimension
        file = self._vectors.fileno()
        for row, place in zip(out, places, strict=True):
            if os.preadv(file, [row.data], int(place) * width) != width:
                raise Damaged(f"{self.path}: vectors.f32 ends too early")
        return out

    def blocks(self) -> Iterator[tuple[int, Vectors]]:
        """All rows in order, each block with its first place."""
        width = 4 * self.dimension
        for start in range(0, self.rows, BLOCK):
            out = np.empty((min(BLOCK, self.rows - start), self.dimension), np.float32)
            if os.preadv(self._vectors.fileno(), [out.data], start * width) != out.nbytes:
                raise Damaged(f"{self.path}: vectors.f32 ends too early")
            yield start, out

    def metadata(self, place: int) -> dict[str, Any]:
        """One row's metadata."""
        start, end = int(self._starts[place]), int(self._starts[place + 1])
        told: dict[str, Any] = json.loads(self._notes[start:end].tobytes())
        return told

    def column(self, key: str) -> Column:
        """What all rows have under a name; kept, since the rows never change."""
        column = self._columns.get(key)
        if column is None:
            column = Column.of([find(self.metadata(place), key) for place in range(self.rows)])
            if len(self._columns) >= MAX_COLUMNS:
                self._columns = {}
            self._columns[key] = column
        return column


def _open(path: Path, size: int) -> IO[bytes]:
    """The file, if it has that many bytes."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise Damaged(f"{path} cannot be read: {error.strerror}") from error
    found = os.fstat(file.fileno()).st_size
    if found != size:
        file.close()
        raise Damaged(f"{path} has {found} bytes instead of {size}")
    return file


class Writer:
    """Writes a segment under a provisional name; :meth:`finish` gives it its own."""

    def __init__(self, path: Path, dimension: int, metric: str) -> None:
        self.path, self._fresh = path, path.with_name(f"{path.name}.new")
        self._dimension, self._metric = dimension, kernel_metric(metric)
        self._rows = self._crc = self._end = 0
        self._files: dict[str, IO[bytes]] = {}

    def __enter__(self) -> Self:
        shutil.rmtree(self._fresh, ignore_errors=True)
        self._fresh.mkdir(parents=True)
        self._files = {name: (self._fresh / name).open("wb") for name in COLUMNS}
        return self

    def add(self, batch: Batch) -> None:
        """Append rows."""
        if not len(batch):
            return
        codes = vectors.quantize_int8(batch.vectors, self._metric)
        self._crc = zlib.crc32(codes.values.data, self._crc)
        notes = [json.dumps(one, ensure_ascii=False).encode() for one in batch.metadata]
        starts = np.cumsum([self._end, *map(len, notes)])
        self._end = int(starts[-1])
        self._rows += len(batch)
        columns: dict[str, NDArray[Any]] = {
            "ids.i64": batch.ids, "counts.i64": batch.counts, "codes.i8": codes.values,
            "scales.f32": codes.scales, "offsets.f32": codes.offsets,
            "vectors.f32": batch.vectors, "metadata.i64": starts[:-1],
        }  # fmt: skip
        for name, values in columns.items():
            self._files[name].write(np.ascontiguousarray(values, COLUMNS[name]).data)
        self._files["metadata.json"].write(b"".join(notes))

    def finish(self, gone: Ids, through: int) -> Segment:
        """Put the segment into place and open it; it knows the rows up to change `through`."""
        self._files["gone.i64"].write(np.ascontiguousarray(gone, np.int64).data)
        self._files["metadata.i64"].write(np.array([self._end], np.int64).data)
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
            file.close()
        shutil.rmtree(self.path, ignore_errors=True)
        self._fresh.rename(self.path)
        told = {"name": self.path.name, "rows": self._rows, "dimension": self._dimension}
        more = {"gone": len(gone), "through": through, "codes_crc32": self._crc}
        return Segment(self.path, told | more)

    def __exit__(self, *_exception: object) -> None:
        for file in self._files.values():
            file.close()
        shutil.rmtree(self._fresh, ignore_errors=True)

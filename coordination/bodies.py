"""Where payloads and results live: in the row, in a body beside it, or in a blob.

Up to 1 kB a value stays in its task's row; up to 64 kB it is a TaskBody; above, a compressed
blob stored once under its SHA-256. What PostgreSQL cannot keep as JSON (NaN, Infinity, the
character U+0000, lone surrogates) is refused before it gets there.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings

from coordination.models import Blob, Task, TaskBody

INLINE_BYTES = 1024
BODY_BYTES = 64 * 1024
MAX_BYTES = 16 * 1024 * 1024

# ASCII only: sizes are lengths, and a lone surrogate shows as its escape.
_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


class BodyInvalid(ValueError):
    """A value that cannot be kept; the message says why."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value and its compact JSON text."""

    text: str
    value: Any = None

    @property
    def size(self) -> int:
        """Bytes in UTF-8."""
        return len(self.text) if self.text.isascii() else len(self.text.encode())

    @property
    def inline(self) -> bool:
        """Whether it stays in the task's row."""
        return self.size <= INLINE_BYTES


NOTHING = Encoded("null")


def encode(value: Any) -> Encoded:
    """The value as JSON that every database keeps. Raises :class:`BodyInvalid`."""
    if value is None:
        return NOTHING
    try:
        text = _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"not JSON: {error}"
        raise BodyInvalid(message) from error
    if "\\u0000" in text or "\\ud" in text:
        _refuse_unstorable(text)
    if len(text) > MAX_BYTES:
        message = f"{len(text)} bytes are more than the limit of {MAX_BYTES}: pass a reference"
        raise BodyInvalid(message)
    return Encoded(text, value)


def _refuse_unstorable(text: str) -> None:
    """Tell U+0000 and lone surrogates from harmless escapes such as those of emoji."""
    try:
        plain = json.dumps(json.loads(text), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise BodyInvalid("holds a lone surrogate, which is not text") from error
    if b"\\u0000" in plain.replace(b"\\\\", b""):
        raise BodyInvalid("holds the character U+0000, which no database keeps in text")


class BlobStore(Protocol):
    """Keeps compressed values under their digest."""

    def put(self, values: Mapping[str, Encoded]) -> None:
        """Store values by SHA-256; one that is there already costs nothing."""

    def get(self, sha256: str) -> bytes:
        """The JSON text of a value. Raises KeyError."""

    def delete(self, digests: Iterable[str]) -> None:
        """Forget values."""


class TableStore:
    """Blobs in the database."""

    def put(self, values: Mapping[str, Encoded]) -> None:
        """Insert those that are new, and hold on to all of them until this transaction ends.

        Touching one that is there locks its row: retention, which would delete it because no
        body names it yet, waits and then sees ours. In order of digest, against deadlocks.
        """
        Blob.objects.bulk_create(
            [
                Blob(
                    sha256=digest,
                    size=values[digest].size,
                    data=zlib.compress(values[digest].text.encode()),
                )
                for digest in sorted(values)
            ],
            update_conflicts=True,
            unique_fields=["sha256"],
            update_fields=["created_at"],
        )

    def get(self, sha256: str) -> bytes:
        """Read and decompress one."""
        blob = Blob.objects.filter(sha256=sha256).first()
        if blob is None:
            raise KeyError(sha256)
        return zlib.decompress(bytes(blob.data))

    def delete(self, digests: Iterable[str]) -> None:
        """Delete the rows."""
        Blob.objects.filter(sha256__in=list(digests)).delete()


class DirectoryStore:
    """Blobs as files, named by digest, written whole or not at all."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _path(self, sha256: str) -> Path:
        return self.root / sha256[:2] / sha256

    def put(self, values: Mapping[str, Encoded]) -> None:
        """Lock the rows, write each file beside its place, then move it there."""
        TableStore().put({digest: Encoded("null") for digest in values})
        for digest, value in values.items():
            path = self._path(digest)
            if path.exists():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(f".{os.getpid()}")
            partial.write_bytes(zlib.compress(value.text.encode()))
            partial.replace(path)

    def get(self, sha256: str) -> bytes:
        """Read and decompress one file."""
        try:
            return zlib.decompress(self._path(sha256).read_bytes())
        except FileNotFoundError as error:
            raise KeyError(sha256) from error

    def delete(self, digests: Iterable[str]) -> None:
        """Remove the files and their rows."""
        wanted = list(digests)
        for digest in wanted:
            self._path(digest).unlink(missing_ok=True)
        TableStore().delete(wanted)


def blob_store() -> BlobStore:
    """The store that ``ANSF_BLOB_DIR`` chooses."""
    directory: str = settings.ANSF["BLOB_DIR"]
    return DirectoryStore(Path(directory)) if directory else TableStore()


def write(kind: str, values: Mapping[UUID, Encoded]) -> None:
    """Store values above 1 kB, all in one go; a body is written once and never changed."""
    rows, blobs = [], {}
    for task_id, value in values.items():
        if value.size > BODY_BYTES:
            digest = hashlib.sha256(value.text.encode()).hexdigest()
            blobs[digest] = value
            rows.append(TaskBody(task_id=task_id, kind=kind, blob_sha256=digest))
        else:
            rows.append(TaskBody(task_id=task_id, kind=kind, content=value.value))
    if blobs:
        blob_store().put(blobs)
    if rows:
        # A replayed task may succeed a second time: its newer result takes the place.
        TaskBody.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["task_id", "kind"],
            update_fields=["content", "blob_sha256"],
        )


def read(kind: str, task_ids: Iterable[UUID]) -> dict[UUID, Any]:
    """The values above 1 kB of those tasks that have one."""
    found: dict[UUID, Any] = {}
    store = blob_store()
    for body in TaskBody.objects.filter(task_id__in=list(task_ids), kind=kind):
        text = store.get(body.blob_sha256) if body.blob_sha256 else None
        found[body.task_id] = body.content if text is None else json.loads(text)
    return found


def payload_of(task: Task) -> Any:
    """The task's payload, wherever it lives."""
    if task.payload_bytes <= INLINE_BYTES:
        return task.payload
    return read(TaskBody.Kind.PAYLOAD, [task.id]).get(task.id)


def result_of(task: Task) -> Any:
    """The task's result, wherever it lives; None while there is none."""
    if task.result_bytes <= INLINE_BYTES:
        return task.result
    return read(TaskBody.Kind.RESULT, [task.id]).get(task.id)

"""Who searches a namespace: a scan of int8 codes, faiss in memory, or pgvector in the database.

All of them answer the same questions about the same rows and pass the same tests
(`tests/patterns/test_conformance.py`). The scan needs nothing; the others are used where their
software is there, and refused with a reason where it is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from patterns.backends import graph, scan, server
from patterns.filters import Filter
from patterns.index.snapshot import Found
from patterns.models import Namespace
from patterns.vectors import Ids, Vectors


class Backend(Protocol):
    """Search over the patterns of one namespace at a time."""

    def lacking(self) -> str:
        """What is missing here for it to work, in words; nothing when it works."""
        ...

    def store(self, namespace: Namespace, ids: Ids, vectors: Vectors) -> None:
        """Hear of comparable vectors that are new or changed, in their transaction."""
        ...

    def forget(self, namespace: Namespace, ids: Sequence[int]) -> None:
        """Hear of patterns that were removed, in their transaction."""
        ...

    def rebuild(self, namespace: Namespace) -> None:
        """Start anew with the namespace's rows, in the transaction that asks for it."""
        ...

    def settle(self, namespace: Namespace) -> None:
        """Tidy up after a change was committed."""
        ...

    def search(
        self, namespace: Namespace, queries: Vectors, k: int, where: Filter, *, exact: bool
    ) -> list[list[Found]]:
        """The `k` closest of each comparable query: by falling score, then by rising id."""
        ...

    def stats(self, namespace: Namespace) -> Mapping[str, Any]:
        """What the index is made of."""
        ...


BACKENDS: Mapping[str, Backend] = {
    Namespace.Backend.SCAN: scan.Scan(),
    Namespace.Backend.FAISS: graph.Graph(),
    Namespace.Backend.PGVECTOR: server.Server(),
}


def of(namespace: Namespace) -> Backend:
    """The namespace's own."""
    return BACKENDS[namespace.backend]

"""The default: candidates by a scan of int8 codes, ranked anew in float32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from patterns.filters import Filter
from patterns.index import views
from patterns.index.directory import Directory
from patterns.index.snapshot import Candidates, Found, scanned
from patterns.models import Namespace
from patterns.vectors import Ids, Vectors


class Scan:
    """Needs nothing but the rows; linear in time, about 10 ns per vector of 384."""

    candidates: Candidates = staticmethod(scanned)

    def lacking(self) -> str:
        return ""

    def store(self, namespace: Namespace, ids: Ids, vectors: Vectors) -> None:
        """Nothing: the index follows the rows."""

    def forget(self, namespace: Namespace, ids: Sequence[int]) -> None:
        """Nothing: the index follows the rows."""

    def rebuild(self, namespace: Namespace) -> None:
        """Nothing: a new generation of the namespace is enough."""

    def settle(self, namespace: Namespace) -> None:
        """Move rows from memory to the disk when there are many."""
        views.seal(namespace)

    def search(
        self, namespace: Namespace, queries: Vectors, k: int, where: Filter, *, exact: bool
    ) -> list[list[Found]]:
        """By the state of the index at the namespace's last change."""
        snapshot = views.follow(namespace)
        return snapshot.search(queries, k, where, exact=exact, candidates=self.candidates)

    def stats(self, namespace: Namespace) -> Mapping[str, Any]:
        """Rows in segments and in memory, and bytes on the disk."""
        snapshot = views.follow(namespace)
        sizes = [len(mask) for mask in snapshot.alive]
        return {
            "rows": snapshot.rows,
            "live": snapshot.live,
            "parts": len(sizes),
            "largest_part": max(sizes, default=0),
            "code_bytes": sum(part.codes.nbytes for part in snapshot.parts),
            "disk_bytes": Directory(namespace).size(),
        }

"""Candidates by pgvector: vectors beside the rows in PostgreSQL, searched where they lie.

The table is made at the first use, because its type needs the extension; one partial index per
namespace, since an index has one dimension and one metric. Results are ranked anew in float32,
and a filter is a condition on the rows, so it is the database that skips. What the index walks
past (it looks at a bounded number of rows) is found by comparing every row: an answer is never
shorter than it has to be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from django.db import connection, transaction

from kernels import rows
from patterns.backends import jsonb
from patterns.filters import Filter
from patterns.index.reading import changes
from patterns.index.snapshot import DEPTH, FACTOR, Found
from patterns.models import Namespace, Pattern
from patterns.vectors import Ids, Vectors, kernel_metric, score_of

TABLE = "patterns_embedding"
LARGEST_INDEXED = 2000
"""Dimensions that pgvector indexes; larger ones are scanned."""
DEEPEST = 1000
"""Candidates it takes from its index (hnsw.ef_search); for more, every row is compared."""
LEAST_VERSION = (0, 8)
"""The first that goes on in its index until there are enough rows that pass a filter."""
_OPERATORS = {
    Namespace.Metric.COSINE: ("<=>", "vector_cosine_ops"),
    Namespace.Metric.EUCLIDEAN: ("<->", "vector_l2_ops"),
}
_INSTALL = (
    "CREATE EXTENSION IF NOT EXISTS vector",
    f"""CREATE TABLE IF NOT EXISTS {TABLE} (
        pattern_id bigint PRIMARY KEY REFERENCES patterns_pattern ON DELETE CASCADE,
        namespace_id bigint NOT NULL,
        embedding vector NOT NULL)""",
    f"CREATE INDEX IF NOT EXISTS {TABLE}_namespace ON {TABLE} (namespace_id)",
)


class Server:
    """Search in the database. Refused where it is not PostgreSQL with the extension."""

    def lacking(self) -> str:
        if connection.vendor != "postgresql":
            return "pgvector needs PostgreSQL: set DATABASE_URL, or use scan"
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT coalesce(installed_version, default_version)"
                " FROM pg_available_extensions WHERE name = 'vector'"
            )
            (version,) = cursor.fetchone() or ("",)
        if not version:
            return "PostgreSQL lacks the extension vector: install it, or use scan"
        if tuple(map(int, version.split(".")[:2])) < LEAST_VERSION:
            return f"the extension vector is of version {version}: update it to 0.8, or use scan"
        return ""

    def store(self, namespace: Namespace, ids: Ids, vectors: Vectors) -> None:
        """Write the vectors beside their rows."""
        with connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {TABLE} VALUES (%s, %s, %s::vector) ON CONFLICT (pattern_id)"  # noqa: S608
                " DO UPDATE SET embedding = EXCLUDED.embedding",
                [
                    (int(id_), namespace.pk, _text(vector))
                    for id_, vector in zip(ids, vectors, strict=True)
                ],
            )

    def forget(self, namespace: Namespace, ids: Sequence[int]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {TABLE} WHERE pattern_id = ANY(%s)", [list(ids)])  # noqa: S608

    def rebuild(self, namespace: Namespace) -> None:
        """Write all vectors, then the index."""
        name = f"{TABLE}_{namespace.pk}"
        operators = _OPERATORS[Namespace.Metric(namespace.metric)][1]
        with connection.cursor() as cursor:
            for statement in _INSTALL:
                cursor.execute(statement)
            cursor.execute(f"DROP INDEX IF EXISTS {name}")
            cursor.execute(f"DELETE FROM {TABLE} WHERE namespace_id = %s", [namespace.pk])  # noqa: S608
        for _, batch, gone in changes(namespace, 0):
            self.store(namespace, batch.ids, batch.vectors)
            self.forget(namespace, gone.tolist())
        if namespace.dimension > LARGEST_INDEXED:
            return
        with connection.cursor() as cursor:
            cursor.execute(
                f"CREATE INDEX {name} ON {TABLE} USING hnsw"
                f" ((embedding::vector({int(namespace.dimension)})) {operators})"
                f" WHERE namespace_id = {int(namespace.pk)}"
            )

    def settle(self, namespace: Namespace) -> None:
        """Nothing: the database does."""

    def search(
        self, namespace: Namespace, queries: Vectors, k: int, where: Filter, *, exact: bool
    ) -> list[list[Found]]:
        """Candidates from the database; without its index when `exact`."""
        depth = k if exact else DEPTH + FACTOR * k
        exact = exact or depth > DEEPEST
        found = []
        for query in queries:
            near = [] if exact else _nearest(namespace, query, depth, where, exact=False)
            if len(near) < depth:
                near = _nearest(namespace, query, depth, where, exact=True)
            found.append(_ranked(namespace, query, k, near))
        return found

    def stats(self, namespace: Namespace) -> Mapping[str, Any]:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {TABLE} WHERE namespace_id = %s", [namespace.pk])  # noqa: S608
            (count,) = cursor.fetchone() or (0,)
        return {"rows": count, "live": count}


def _nearest(
    namespace: Namespace, query: Vectors, depth: int, where: Filter, *, exact: bool
) -> list[tuple[int, list[float]]]:
    """Ids and vectors of the closest rows, by the database."""
    operator = _OPERATORS[Namespace.Metric(namespace.metric)][0]
    condition, parameters = jsonb.where(where)
    # A sum is no expression of the index: with it every row is compared.
    order = f"(e.embedding::vector({int(namespace.dimension)}) {operator} %s::vector)"
    with transaction.atomic(), connection.cursor() as cursor:
        if not exact:
            cursor.execute(
                "SELECT set_config('hnsw.ef_search', %s, true),"
                " set_config('hnsw.iterative_scan', 'strict_order', true)",
                [str(depth)],
            )
        cursor.execute(
            f"SELECT e.pattern_id, e.embedding::real[] FROM {TABLE} e"  # noqa: S608
            f" JOIN patterns_pattern p ON p.id = e.pattern_id"
            f" WHERE e.namespace_id = %s AND {condition}"
            f" ORDER BY {order}{' + 0' if exact else ''} LIMIT %s",
            [namespace.pk, *parameters, _text(query), depth],
        )
        near: list[tuple[int, list[float]]] = cursor.fetchall()
    return near


def _ranked(
    namespace: Namespace, query: Vectors, k: int, near: Sequence[tuple[int, list[float]]]
) -> list[Found]:
    if not near:
        return []
    ids = np.array([one[0] for one in near], np.int64)
    matrix = np.array([one[1] for one in near], np.float32)
    scores = rows.exact_scores(matrix, query, kernel_metric(namespace.metric))
    best = np.lexsort((ids, -scores))[:k]
    told = score_of(scores[best], namespace.metric)
    known = Pattern.objects.in_bulk(ids[best].tolist())
    return [
        Found(int(id_), float(score), known[int(id_)].count, known[int(id_)].metadata)
        for id_, score in zip(ids[best], told, strict=True)
        if int(id_) in known
    ]


def _text(vector: Vectors) -> str:
    return "[" + ",".join(repr(float(value)) for value in vector) + "]"

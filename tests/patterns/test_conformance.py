"""One suite for every backend: the same rows, the same questions, the same answers."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from patterns import backends, memory
from patterns.backends import graph
from patterns.index import views
from patterns.memory import NewPattern
from patterns.models import Namespace

METRICS = list(Namespace.Metric.values)
KINDS = ["a", "b", "c"]


@pytest.fixture(params=list(Namespace.Backend.values))
def backend(request, db, monkeypatch):
    """Each backend that can work here; faiss with graphs already over small segments."""
    lacking = backends.BACKENDS[request.param].lacking()
    if lacking:
        pytest.skip(f"{request.param} on {db}: {lacking}")
    monkeypatch.setattr(graph, "LEAST_ROWS", 100)
    monkeypatch.setattr(views, "SEAL_ROWS", 128)
    return request.param


@pytest.fixture
def space(make, backend):
    """Make a namespace of that backend, as namespaces are made."""

    def of(slug="shapes", **columns):
        namespace = make(slug, backend=backend, **columns)
        backends.of(namespace).rebuild(namespace)
        return namespace

    return of


def fill(namespace, vectors):
    """Add all, in batches; their ids."""
    ids = []
    for start in range(0, len(vectors), 300):
        items = [
            NewPattern(vector, metadata={"n": start + n, "kind": KINDS[(start + n) % 3]})
            for n, vector in enumerate(vectors[start : start + 300])
        ]
        ids += [one.id for one in memory.add_many(namespace, items)]
    return np.array(ids)


def closeness(vectors, query, metric):
    """By the definition, in float64."""
    if metric == "cosine":
        lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
        return vectors @ query / lengths
    return 1 / (1 + np.linalg.norm(vectors - query, axis=1))


@pytest.fixture
def cloud(random):
    """Rows in clusters, of different lengths."""
    centres = random.normal(size=(12, 16))
    rows = centres[random.integers(0, 12, 400)] + 0.3 * random.normal(size=(400, 16))
    return rows * random.uniform(0.5, 2, (400, 1))


@pytest.mark.parametrize("metric", METRICS)
def test_the_nearest_are_found_with_their_scores(space, cloud, metric):
    shapes = space(metric=metric, dimension=16)
    ids = fill(shapes, cloud)
    queries = cloud[::50] + 0.1

    for exact in (False, True):
        for query, found in zip(
            queries, memory.search_many(shapes, queries, 10, exact=exact), strict=True
        ):
            scores = closeness(cloud, query, metric)
            best = np.argsort(-scores, kind="stable")[:10]
            assert [one.id for one in found] == ids[best].tolist()
            assert [one.score for one in found] == pytest.approx(scores[best], abs=1e-5)
            assert [one.metadata["n"] for one in found] == best.tolist()


@pytest.mark.parametrize(
    ("where", "passes"),
    [
        ({"kind": "b"}, lambda n: n % 3 == 1),
        ({"kind": {"in": ["a", "c"]}}, lambda n: n % 3 != 1),
        ({"n": {"gte": 10, "lt": 14}}, lambda n: 10 <= n < 14),
        ({"n": {"gt": 300}, "kind": {"ne": "a"}}, lambda n: n > 300 and n % 3),
        ({"n": 7}, lambda n: n == 7),
        ({"missing": {"exists": True}}, lambda _: False),
        ({"missing": {"exists": False}, "kind": {"gte": "c"}}, lambda n: n % 3 == 2),
    ],
    ids=str,
)
def test_a_filter_leaves_only_what_passes_and_misses_nothing(space, cloud, where, passes):
    shapes = space(dimension=16)
    ids = fill(shapes, cloud)

    found = memory.search(shapes, cloud[5], 10, where)

    scores = closeness(cloud, cloud[5], "cosine")
    scores[[not passes(n) for n in range(len(cloud))]] = -np.inf
    best = [n for n in np.argsort(-scores, kind="stable")[:10] if np.isfinite(scores[n])]
    assert [one.id for one in found] == ids[best].tolist()


def test_what_changes_is_followed(space, cloud):
    shapes = space(dimension=16, metric="euclidean", dedup_threshold=0.99)
    ids = fill(shapes, cloud)
    target = int(ids[3])

    merged = memory.add(shapes, cloud[3] + 0.001)
    assert (merged.id, merged.count) == (target, 2)
    assert memory.search(shapes, cloud[3], 1)[0].count == 2

    memory.delete(shapes, [target])
    found = memory.search(shapes, cloud[3], 400)
    assert target not in {one.id for one in found}
    assert len(found) == 399

    memory.reindex(shapes)
    assert [one.id for one in memory.search(shapes, cloud[3], 400)] == [one.id for one in found]


def test_namespaces_do_not_mix(space, random):
    one, other = space("one"), space("other")
    vectors = random.normal(size=(6, 8))
    fill(one, vectors[:3])
    ids = fill(other, vectors[3:])

    assert {found.id for found in memory.search(other, vectors[0])} == set(ids.tolist())


def test_equal_scores_are_ranked_by_id(space):
    shapes = space()
    ids = fill(shapes, np.ones((30, 8)))

    assert [one.id for one in memory.search(shapes, np.ones(8), 5)] == ids[:5].tolist()
    assert len(memory.search(shapes, np.ones(8), 1000)) == 30


def test_counts_tell_how_much_is_held(space, random):
    shapes = space()
    ids = fill(shapes, random.normal(size=(20, 8)))
    memory.delete(shapes, ids[:5].tolist())

    told = memory.stats(shapes)

    assert (told.patterns, told.seen, told.removed) == (15, 15, 5)
    assert told.index["live"] == 15


def test_zeros_have_no_direction_and_harm_nothing(space):
    shapes = space(dedup_threshold=0.98)
    fill(shapes, np.concatenate([np.zeros((2, 8)), np.eye(8)]))

    assert memory.search(shapes, np.eye(8)[0], 1)[0].score == pytest.approx(1)
    assert len(memory.search(shapes, np.zeros(8), 20)) == 10


def test_graphs_are_used_where_they_are_asked_for(space, cloud, backend, monkeypatch):
    if backend != "faiss":
        pytest.skip(f"{backend} has no graphs")
    shapes = space(dimension=16)
    fill(shapes, cloud)
    built = []
    monkeypatch.setattr(
        graph, "_built", lambda segment, real=graph._built: built.append(segment) or real(segment)
    )

    memory.search(shapes, cloud[0])

    assert built


def test_a_graph_that_is_built_keeps_nobody_from_those_that_are_there(monkeypatch):
    class Rows:
        """Stands for a segment."""

    begun, finish = threading.Event(), threading.Event()
    ready, slow = Rows(), Rows()

    def built(rows):
        if rows is slow:
            begun.set()
            assert finish.wait(30)
        return f"graph of {rows}"

    monkeypatch.setattr(graph, "_built", built)
    first = graph._graph_of(ready)
    thread = threading.Thread(target=graph._graph_of, args=[slow])
    thread.start()
    assert begun.wait(30)

    assert graph._graph_of(ready) is first
    assert graph._graph_of(Rows())

    finish.set()
    thread.join(30)

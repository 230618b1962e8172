"""What is added is found; near-duplicates are counted; bounds are kept."""

from __future__ import annotations

import numpy as np
import pytest
from django.db import transaction

from patterns import memory
from patterns.errors import Invalid, NotFound, Refused
from patterns.memory import NewPattern
from patterns.models import Pattern


def remembered(namespace, vectors, **metadata):
    items = [NewPattern(vector, metadata={**metadata, "n": n}) for n, vector in enumerate(vectors)]
    return [one.id for one in memory.add_many(namespace, items)]


def test_a_vector_is_found_with_its_metadata_at_once(make):
    shapes = make()

    added = memory.add(shapes, [1, 0, 0, 0, 0, 0, 0, 0], metadata={"kind": "step"})

    (found,) = memory.search(shapes, [2, 0, 0, 0, 0, 0, 0, 0])
    assert (found.id, found.count, found.metadata) == (added.id, 1, {"kind": "step"})
    assert found.score == pytest.approx(1)


def test_an_empty_namespace_answers_with_nothing(make):
    assert memory.search(make(), np.ones(8)) == []
    assert memory.search_many(make("other"), np.ones((2, 8)), exact=True) == [[], []]


def test_a_near_duplicate_is_counted_and_its_vector_averaged(make):
    shapes = make(dedup_threshold=0.98, metric="euclidean", dimension=2)
    first = memory.add(shapes, [1.0, 1.0], metadata={"a": 1})

    again = memory.add(shapes, [1.004, 1.0], metadata={"a": 2})
    third = memory.add(shapes, [1.008, 1.0])

    assert (again.id, again.merged, again.count) == (first.id, True, 2)
    assert third.count == 3
    row = Pattern.objects.get()
    assert row.metadata == {"a": 1}
    assert np.frombuffer(row.vector, np.float32) == pytest.approx([1.004, 1.0])
    (found,) = memory.search(shapes, [1.004, 1.0], 5)
    assert (found.id, found.count) == (first.id, 3)
    assert found.score == pytest.approx(1, abs=1e-5)


def test_duplicates_within_one_batch_are_merged_as_one_after_the_other(make, random):
    shapes, twin = make(dedup_threshold=0.95), make("twin", dedup_threshold=0.95)
    vectors = random.normal(size=(6, 8))[[0, 1, 0, 2, 1, 3, 4, 5, 0]]
    vectors += 0.01 * random.normal(size=vectors.shape)

    together = memory.add_many(shapes, [NewPattern(vector) for vector in vectors])
    alone = [memory.add(twin, vector) for vector in vectors]

    assert [one.merged for one in together] == [one.merged for one in alone]
    assert [one.merged for one in together].count(True) == 3
    assert together[0].count == 3  # told as it is after the whole batch
    rows = zip(
        Pattern.objects.filter(namespace=shapes).order_by("id"),
        Pattern.objects.filter(namespace=twin).order_by("id"),
        strict=True,
    )
    for one, other in rows:
        assert one.count == other.count
        assert np.frombuffer(one.vector, "f4") == pytest.approx(np.frombuffer(other.vector, "f4"))


def test_without_a_threshold_nothing_is_merged(make):
    shapes = make(dedup_threshold=None)

    ids = remembered(shapes, np.ones((3, 8)))

    assert len(set(ids)) == 3
    assert [found.id for found in memory.search(shapes, np.ones(8))] == ids


def test_planted_duplicates_are_found_and_nothing_else_is_merged(make):
    random = np.random.default_rng(4)
    shapes = make(dimension=64, dedup_threshold=0.98)
    originals = random.normal(size=(700, 64))
    source = random.integers(0, 700, 300)
    copies = originals[source] + 0.05 * random.normal(size=(300, 64))

    added = memory.add_many(shapes, [NewPattern(one) for one in (*originals, *copies)])

    assert not any(one.merged for one in added[:700])
    found = [one.id == added[origin].id for one, origin in zip(added[700:], source, strict=True)]
    assert np.mean(found) >= 0.99


def test_the_quota_counts_patterns_and_not_what_is_merged(make):
    shapes = make(quota=2, dedup_threshold=0.98, dimension=2)
    memory.add_many(shapes, [NewPattern([1, 0]), NewPattern([0, 1])])

    assert memory.add(shapes, [2, 0]).merged
    with pytest.raises(Refused, match="holds 2 of 2 patterns, 1 more"):
        memory.add_many(shapes, [NewPattern([1, 0]), NewPattern([-1, 0])])

    assert Pattern.objects.count() == 2
    assert memory.search(shapes, [1, 0], 1)[0].count == 2  # the batch was refused as a whole


def test_what_is_deleted_is_not_found_and_frees_its_place(make, random):
    shapes = make(quota=3)
    vectors = random.normal(size=(3, 8))
    ids = remembered(shapes, vectors)
    memory.search(shapes, vectors[0])

    assert memory.delete(shapes, [ids[0], 10**9]) == 1
    assert memory.delete(shapes, [ids[0]]) == 0

    assert ids[0] not in {found.id for found in memory.search(shapes, vectors[0])}
    again = memory.add(shapes, vectors[0])
    assert memory.search(shapes, vectors[0], 1)[0].id == again.id


def test_what_a_transaction_took_back_was_never_there(make, random):
    shapes = make(dedup_threshold=0.98)
    kept, lost = random.normal(size=(2, 8))
    memory.add(shapes, kept)

    with transaction.atomic():
        memory.add(shapes, lost)
        memory.add(shapes, kept)
        assert memory.search(shapes, lost, 1)[0].score == pytest.approx(1)
        transaction.set_rollback(True)

    assert [found.count for found in memory.search(shapes, lost)] == [1]
    fresh = memory.add(shapes, lost)
    assert not fresh.merged
    assert memory.search(shapes, lost, 1)[0].id == fresh.id
    assert memory.stats(shapes).patterns == 2


def test_an_encoded_namespace_learns_its_scaler_and_tells_shapes_apart(make):
    random = np.random.default_rng(5)
    shapes = make(encoder="minirocket-384", dimension=384, dedup_threshold=None)
    t = np.linspace(0, 1, 100)
    kinds = {"sine": np.sin(14 * t), "step": np.sign(t - 0.5), "saw": t * 5 % 1}
    items = [
        NewPattern(series=shape + 0.1 * random.normal(size=100), metadata={"kind": kind})
        for _ in range(10)
        for kind, shape in kinds.items()
    ]

    memory.add_many(shapes, items)

    assert memory.stats(shapes).scaler_version == 1
    asked = [shape * 3 + 7 + 0.1 * random.normal(size=100) for shape in kinds.values()]
    for kind, found in zip(kinds, memory.search_series(shapes, asked, 5), strict=True):
        assert {one.metadata["kind"] for one in found} == {kind}


def test_before_the_first_scaler_only_the_same_is_merged(make, random):
    shapes = make(encoder="seed-384", dimension=384, dedup_threshold=0.5)
    series = np.cumsum(random.normal(size=(3, 80)), axis=1)

    added = [memory.add(shapes, series=one) for one in (*series, series[1])]

    assert [one.merged for one in added] == [False, False, False, True]


def test_a_refit_scales_anew_without_the_series(make, random):
    shapes = make(encoder="seed-384", dimension=384, dedup_threshold=None)
    series = np.cumsum(random.normal(size=(30, 80)), axis=1)
    memory.add_many(shapes, [NewPattern(series=one) for one in series])
    before = memory.search_series(shapes, series[:1], 3)[0]
    memory.add_many(shapes, [NewPattern(series=one**2) for one in series])

    memory.reindex(shapes, refit=True)

    after = memory.search_series(shapes, series[:1], 3)[0]
    assert memory.stats(shapes).scaler_version == 2
    assert before[0].id == after[0].id
    assert after[0].score == pytest.approx(1)
    assert [one.score for one in before[1:]] != [one.score for one in after[1:]]


def test_reindex_forgets_what_was_deleted(make, random):
    shapes = make()
    vectors = random.normal(size=(5, 8))
    ids = remembered(shapes, vectors)
    memory.delete(shapes, ids[:2])

    memory.reindex(shapes)

    assert Pattern.objects.count() == 3
    assert {found.id for found in memory.search(shapes, vectors[0])} == set(ids[2:])
    assert memory.stats(shapes).removed == 0


def test_seen_counts_all_that_was_merged(make):
    shapes = make(dedup_threshold=0.9)
    memory.add_many(shapes, [NewPattern(np.ones(8), count=5), NewPattern(np.ones(8))])

    assert memory.stats(shapes).seen == 6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (memory.add, "needs a vector or a series"),
        (lambda ns: memory.add(ns, [1] * 8, series=[1] * 8), "and not both"),
        (lambda ns: memory.add(ns, [1, 2]), "/vector: has 2 numbers, shapes takes 8"),
        (lambda ns: memory.add(ns, [np.nan] * 8), "NaN"),
        (lambda ns: memory.add(ns, ["a"] * 8), "real numbers"),
        (lambda ns: memory.add(ns, []), "one vector per row"),
        (lambda ns: memory.add(ns, series=[1] * 50), "has no encoder"),
        (lambda ns: memory.add(ns, [1] * 8, metadata=[]), "must be an object"),
        (lambda ns: memory.add(ns, [1] * 8, metadata={"a": "x" * 9000}), "at most 8192"),
        (lambda ns: memory.add(ns, [1] * 8, metadata={"a": float("nan")}), "no JSON"),
        (lambda ns: memory.add(ns, [1] * 8, metadata={"a": "\x00"}), r"U\+0000"),
        (lambda ns: memory.add(ns, [1] * 8, metadata={str(n): n for n in range(65)}), "65 names"),
        (lambda ns: memory.add_many(ns, []), "1 to 1000"),
        (lambda ns: memory.add_many(ns, [NewPattern([1] * 8, count=0)]), "/count"),
        (lambda ns: memory.search(ns, [[1] * 8]), "pass one vector"),
        (lambda ns: memory.search(ns, [1] * 8, 0), "/k"),
        (lambda ns: memory.search(ns, [1] * 8, 10**6), "/k"),
        (lambda ns: memory.search_many(ns, np.ones((1001, 8))), "1001 queries"),
        (lambda ns: memory.search(ns, [1] * 8, filter={"a": {"near": 1}}), "'near' is not known"),
        (lambda ns: memory.delete(ns, range(1001)), "1001 ids"),
        (lambda ns: memory.reindex(ns, refit=True), "no encoder"),
    ],
)
def test_what_is_wrong_is_named(make, call, message):
    with pytest.raises(Invalid, match=message):
        call(make())


def test_a_namespace_that_was_removed_meanwhile_is_told(make):
    shapes = make()
    type(shapes).objects.all().delete()

    for call in (
        lambda: memory.add(shapes, np.ones(8)),
        lambda: memory.search(shapes, np.ones(8)),
    ):
        with pytest.raises(NotFound, match="is gone"):
            call()


def test_removed_rows_are_purged_when_they_are_many(make, random, monkeypatch):
    monkeypatch.setattr(memory, "MAX_REMOVED", 5)
    monkeypatch.setattr(memory, "PURGE_EVERY", 10)
    shapes = make()
    vectors = random.normal(size=(24, 8))
    ids = remembered(shapes, vectors)
    memory.search(shapes, vectors[0])

    for id_ in ids[:20]:
        memory.delete(shapes, [id_])

    told = memory.stats(shapes)
    assert (told.patterns, told.seen) == (4, 4)
    assert told.removed < 10
    assert told.generation > 1
    assert memory.search(shapes, vectors[23], 9)[0].id == ids[23]
    assert {one.id for one in memory.search(shapes, vectors[0], 9)} == set(ids[20:])


def test_an_integer_beyond_all_floats_is_refused_and_harms_nothing_when_stored(make):
    shapes = make(dimension=2)
    with pytest.raises(Invalid, match=r"beyond 1.8e308"):
        memory.add(shapes, [1, 0], metadata={"a": [{"level": -(10**400)}]})
    memory.add(shapes, [1, 0], metadata={"level": "9" * 400})
    for sign in (1, -1):
        memory.add(shapes, [0, sign], metadata={"level": 3})
        last = Pattern.objects.order_by("pk").last()
        Pattern.objects.filter(pk=last.pk).update(metadata={"level": sign * 10**400})
    memory.reindex(shapes)

    found = memory.search(shapes, [0, 1], 9, {"level": {"gt": 5}})

    assert [one.metadata["level"] > 0 for one in found] == [True]
    assert len(memory.search(shapes, [0, 1], 9, {"level": {"lt": 5}})) == 1

"""What is exported can be imported, and a mistake says the line to go on from."""

from __future__ import annotations

import json

import numpy as np
import pytest

from patterns import exchange, memory
from patterns.errors import Invalid, Refused
from patterns.models import Pattern


def take(namespace, *lines):
    return exchange.take_in(namespace, [line.encode() for line in lines], lambda _done: None)


def test_an_export_imports_to_the_same(make, random):
    one, other = make("one", dedup_threshold=0.98), make("other", dedup_threshold=0.98)
    vectors = random.normal(size=(30, 8))
    items = [memory.NewPattern(v, metadata={"n": n, "é": "ß"}) for n, v in enumerate(vectors)]
    memory.add_many(one, items)
    memory.add(one, vectors[4])

    lines = list(exchange.export(one))
    done = take(other, *lines)

    assert (done.lines, done.new, done.merged) == (30, 30, 0)
    columns = ("metadata", "vector", "count")
    rows = [list(p.patterns.order_by("id").values_list(*columns)) for p in (one, other)]
    assert [(m, bytes(v), c) for m, v, c in rows[0]] == [(m, bytes(v), c) for m, v, c in rows[1]]


def test_series_are_encoded_on_the_way_in(make, random):
    shapes = make(encoder="seed-384", dimension=384)

    done = take(shapes, json.dumps({"series": random.normal(size=40).tolist()}), "", "  ")

    assert (done.new, Pattern.objects.count()) == (1, 1)


def test_progress_is_told_as_it_is_committed(make, monkeypatch):
    monkeypatch.setattr(memory, "MAX_ITEMS", 10)
    shapes, told = make(), []
    lines = [json.dumps({"vector": [n] * 8}).encode() for n in range(25)]

    exchange.take_in(shapes, lines, told.append)

    assert told == [10, 20, 25]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 12: is not JSON"),
        ("[1]", "line 12: is no object"),
        ('{"vectors": [1]}', "line 12: has the unknown member 'vectors'"),
        ('{"vector": [1]}', "line 12/vector: has 1 numbers"),
        ('{"vector": [1, 1, 1, 1, 1, 1, 1, null]}', "line 12/vector"),
        ("{}", "line 12: needs a vector or a series"),
        ('{"vector": [1, 1, 1, 1, 1, 1, 1, 1], "count": 0}', "line 12/count"),
        ('{"vector": [1, 1, 1, 1, 1, 1, 1, 1], "metadata": 3}', "line 12/metadata"),
    ],
)
def test_a_wrong_line_is_named_and_the_batches_before_it_stay(make, monkeypatch, line, message):
    monkeypatch.setattr(memory, "MAX_ITEMS", 10)
    shapes = make()
    good = json.dumps({"vector": np.arange(8).tolist()})

    with pytest.raises(Invalid, match=message):
        take(shapes, *[good] * 11, line)

    assert Pattern.objects.count() == 10


def test_bounds_hold(make, monkeypatch):
    shapes = make(quota=3)
    line = json.dumps({"vector": [1] * 8})

    with pytest.raises(Refused, match=r"do not fit.*nothing was imported"):
        take(shapes, *[line] * 4)
    monkeypatch.setattr(exchange, "MAX_LINES", 2)
    with pytest.raises(Invalid, match="more than 2 lines"):
        take(shapes, *[line] * 3)
    with pytest.raises(Invalid, match="is longer than"):
        take(shapes, " " * (exchange.MAX_LINE_BYTES + 1) + line)

"""The handlers on many series: batches in, JSON out, limits said before work begins."""

from __future__ import annotations

import json
import math
import time

import jsonschema
import numpy as np
import pytest

from kernels import dtw, embedding
from workers.context import Cancelled, Context, Entered, GiveUp
from workers.handlers import SCHEMAS, elastic
from workers.journal import Journal

WALKS = np.round(np.cumsum(np.random.default_rng(3).normal(size=(12, 40)), axis=1), 3).tolist()


def test_each_query_gets_its_own_neighbours():
    answer = elastic.nearest_each(WALKS[:3], WALKS[3:], window=4, k=2)

    assert json.loads(json.dumps(answer)) == answer
    for query, found in zip(WALKS[:3], answer["neighbours"], strict=True):
        expected = dtw.nearest(query, WALKS[3:], 4, 2)
        assert found["indices"] == expected.indices.tolist()
        assert found["distances"] == expected.distances.tolist()


def test_distances_come_in_rows():
    square = elastic.pairwise(WALKS[:4], window=3)["distances"]
    oblong = elastic.pairwise(WALKS[:2], WALKS[2:5])["distances"]

    assert square == dtw.pairwise(WALKS[:4], 3).tolist()
    assert oblong == dtw.pairwise(WALKS[:2], None, WALKS[2:5]).tolist()


def test_matches_say_where_and_how_far_off():
    long = [0.0] * 30 + WALKS[0] + [9.0] * 30

    matches = elastic.subsequence([WALKS[0], WALKS[1]], long, k=2)["matches"]

    assert matches[0][0] == {"start": 30, "stop": 70, "distance": 0.0}
    assert json.loads(json.dumps(matches)) == matches
    assert len(matches) == 2


def test_a_batch_is_encoded_under_the_scaler_that_another_task_fitted(monkeypatch):
    monkeypatch.setattr(elastic, "CHUNK", 5)
    scaler = json.loads(json.dumps(elastic.fit_scaler(WALKS, version=2)["scaler"]))

    answer = elastic.embed_each(WALKS, scaler=scaler)

    known = embedding.Scaler.from_dict(scaler)
    expected = embedding.transform(WALKS, embedding.MINIROCKET, known)
    assert (known.version, known.samples) == (2, 12)
    assert answer["encoder"] == embedding.MINIROCKET
    assert answer["vectors"] == expected.tolist()


def test_several_channels_are_searched_together():
    points = [[[v, -v] for v in walk] for walk in WALKS]

    answer = elastic.nearest_each(points[:1], points, k=1)

    assert answer["neighbours"] == [{"indices": [0], "distances": [0.0]}]


def test_a_cancelled_task_stops_between_queries_and_had_said_how_far_it_was(tmp_path):
    flag = tmp_path / "cancel"
    said = []

    class Cancelling(Journal):
        def report(self, done, note):
            said.append((done, note))
            flag.touch()

    context = Context(None, 1, 1, None, math.inf, Cancelling(None), cancel_flag=str(flag))
    with Entered(context), pytest.raises(Cancelled):
        elastic.nearest_each(WALKS[:4], WALKS)

    assert said == [(0.0, "0 of 4 queries")]


@pytest.mark.parametrize(
    "call",
    [
        lambda: elastic.nearest_each(WALKS[:4], WALKS),
        lambda: elastic.pairwise(WALKS),
        lambda: elastic.subsequence(WALKS[:2], WALKS[3]),
        lambda: elastic.embed_each(WALKS),
    ],
)
def test_a_task_gives_up_before_its_time_limit_would_kill_it(call):
    late = Context(None, 1, 1, None, time.monotonic(), Journal(None))

    with Entered(late), pytest.raises(GiveUp, match="time limit"):
        call()


def test_parts_of_a_search_give_what_the_whole_gives(monkeypatch):
    points = [[[v, -v, 2 * v] for v in walk] for walk in WALKS]
    calls = [
        lambda: elastic.nearest_each(WALKS[:3], WALKS[::-1], window=4, k=5),
        lambda: elastic.nearest_each(points[:3], points[::-1], k=5),
        lambda: elastic.pairwise(WALKS[:3], WALKS[2:], window=4),
    ]
    whole = [call() for call in calls]
    monkeypatch.setattr(elastic, "PART_CELLS", 5 * 40 * 9)

    assert [call() for call in calls] == whole


LONG = [0.0] * 2000


@pytest.mark.parametrize(
    ("handler", "arguments", "message"),
    [
        (elastic.nearest_each, {"queries": [[1.0]], "candidates": []}, "candidates is empty"),
        (elastic.nearest_each, {"queries": [[math.nan]], "candidates": [[1.0]]}, "nan at index 0"),
        (elastic.nearest_each, {"queries": [[1.0]] * 10_001, "candidates": [[1.0]]}, "split"),
        (elastic.nearest_each, {"queries": [LONG] * 300, "candidates": [LONG] * 300}, "cells"),
        (elastic.pairwise, {"series": [[1.0]] * 501}, "more than 250000: split"),
        (elastic.subsequence, {"queries": [[1.0]], "series": []}, "at least one|0 samples"),
        (elastic.subsequence, {"queries": [[1.0]], "series": [1.0], "k": 0}, "k is 0"),
        (elastic.embed_each, {"series": [[1.0] * 3]}, "3 samples"),
        (elastic.embed_each, {"series": WALKS, "encoder": "x"}, "choose one of"),
        (elastic.embed_each, {"series": WALKS, "scaler": {}}, "stored scaler lacks"),
        (elastic.fit_scaler, {"series": []}, "vectors"),
    ],
)
def test_what_cannot_be_done_is_not_tried_again(handler, arguments, message):
    with pytest.raises(GiveUp, match=message):
        handler(**arguments)


@pytest.mark.parametrize(
    ("name", "payload", "accepted"),
    [
        ("dtw.nearest_each", {"queries": WALKS, "candidates": {"$from": "read"}}, True),
        ("dtw.nearest_each", {"queries": [], "candidates": WALKS}, False),
        ("dtw.pairwise", {"series": WALKS, "window": None}, True),
        ("dtw.subsequence", {"queries": WALKS, "series": WALKS[0], "k": 5000}, False),
        ("features.embed_each", {"series": WALKS, "encoder": "seed-384"}, True),
        ("features.embed_each", {"series": WALKS, "encoder": "other"}, False),
        ("features.fit_scaler", {"series": WALKS, "version": 0}, False),
    ],
)
def test_schemas_say_what_the_handlers_take(name, payload, accepted):
    assert jsonschema.Draft202012Validator(SCHEMAS[name]).is_valid(payload) is accepted

"""The handlers on series: called as Celery tasks are, they answer JSON or give up."""

from __future__ import annotations

import json
import math
import time

import jsonschema
import pytest

from workers.context import Cancelled, Context, Entered, GiveUp
from workers.handlers import SCHEMAS, elastic
from workers.handlers.series import MAX_CANDIDATES, analyze, embed, nearest
from workers.journal import Journal

SINE = [math.sin(0.1 * number) for number in range(400)]


def test_an_analysis_is_json(capfd):
    answer = analyze(SINE, mode="fast")

    assert json.loads(json.dumps(answer)) == answer
    assert answer["kind"]


def test_an_embedding_has_384_numbers():
    vector = embed(SINE)["vector"]

    assert len(vector) == 384
    assert all(math.isfinite(number) for number in vector)


def test_the_nearest_is_the_same_series_and_the_log_says_how_many_were_compared():
    context = Context(None, 1, 1, None, math.inf, Journal(None))
    with Entered(context):
        answer = nearest(SINE[:50], [SINE[100:150], SINE[:50], SINE[30:80]], k=2)

    assert answer["indices"][0] == 1
    assert answer["distances"][0] == 0.0
    assert len(answer["indices"]) == 2
    assert "3 candidates" in context.journal.text


def test_a_search_is_done_in_parts_and_stops_when_told_to(monkeypatch, tmp_path):
    candidates = [SINE[start : start + 50] for start in range(0, 300, 7)]
    whole = nearest(SINE[100:150], candidates, window=5, k=4)
    monkeypatch.setattr(elastic, "PART_CELLS", 6 * 50 * 11)

    assert nearest(SINE[100:150], candidates, window=5, k=4) == whole
    flag = tmp_path / "cancelled"
    flag.touch()
    told = Context(None, 1, 1, None, math.inf, Journal(None), cancel_flag=str(flag))
    with Entered(told), pytest.raises(Cancelled):
        nearest(SINE[100:150], candidates, window=5)
    late = Context(None, 1, 1, None, time.monotonic(), Journal(None))
    with Entered(late), pytest.raises(GiveUp, match="time limit"):
        nearest(SINE[100:150], candidates, window=5)


@pytest.mark.parametrize(
    ("handler", "arguments"),
    [
        (analyze, {"series": []}),
        (analyze, {"series": [1.0, math.nan] * 50}),
        (embed, {"series": []}),
        (embed, {"series": [math.inf] * 50}),
        (nearest, {"query": SINE[:10], "candidates": []}),
        (nearest, {"query": [], "candidates": [SINE[:10]]}),
        (nearest, {"query": SINE[:10], "candidates": [[1.0]] * (MAX_CANDIDATES + 1)}),
        (nearest, {"query": [0.0] * 10_000, "candidates": [[0.0] * 10_000] * 1100}),
    ],
)
def test_a_series_that_cannot_be_used_is_not_tried_again(handler, arguments):
    with pytest.raises(GiveUp):
        handler(**arguments)


@pytest.mark.parametrize(
    ("name", "payload", "right"),
    [
        ("attractor.analyze", {"series": [1.0, 2.0]}, True),
        ("attractor.analyze", {"series": {"$from": "node"}}, True),
        ("attractor.analyze", {"series": ["1"]}, False),
        ("attractor.analyze", {"series": [1.0], "mode": "slow"}, False),
        ("dtw.nearest", {"query": [1.0], "candidates": [[1.0]], "k": 0}, False),
        ("dtw.nearest", {"query": {"$from": "a"}, "candidates": {"$from": "g"}}, True),
        ("features.embed", {}, False),
        ("http.fetch", {"url": "https://example.org", "max_redirects": 6}, False),
        ("http.fetch", {"url": "https://example.org"}, True),
    ],
)
def test_schemas_take_what_handlers_take(name, payload, right):
    validator = jsonschema.Draft202012Validator(SCHEMAS[name])

    assert validator.is_valid(payload) is right

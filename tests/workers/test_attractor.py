"""The handlers that measure many windows: every window gets figures, or the reason why not."""

from __future__ import annotations

import json
import math
import time

import jsonschema
import pytest

from kernels import attractor
from workers.context import Cancelled, Context, Entered, GiveUp
from workers.handlers import SCHEMAS
from workers.handlers.attractor import MAX_SAMPLES, MAX_VALUES, MEASURES, analyze_each, measure_each
from workers.journal import Journal

SINE = [math.sin(0.1 * number) for number in range(600)]


def a_context(**changes):
    return Context(None, 1, 1, None, **{"deadline": math.inf, "journal": Journal(None)} | changes)


def test_a_series_is_cut_into_windows_that_overlap_by_what_is_asked():
    answer = analyze_each(series=SINE, length=200, step=100)

    expected = attractor.analyze(SINE[100:300], "fast")
    assert [report["samples"] for report in answer["reports"]] == [200] * 5
    assert answer["reports"][1]["kind"] == expected.kind.value


def test_a_window_that_cannot_be_measured_leaves_the_others():
    context = a_context()
    with Entered(context):
        answer = analyze_each(windows=[SINE, [1.0, 2.0], [math.nan] * 100])

    kinds = [report.get("kind") for report in answer["reports"]]
    assert kinds == ["LIMIT_CYCLE", None, None]
    assert "at least 64" in answer["reports"][1]["error"]
    assert "nan at index 0" in answer["reports"][2]["error"]
    assert "3 windows, 2 could not be measured" in context.journal.text


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_every_measure_is_plain_json(name):
    options = {"delay_embed": {"dimension": 2, "lag": 3}, "surrogates": {"count": 2}}

    answer = measure_each({name: options.get(name, {})}, windows=[SINE[:300]])

    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert name in answer["figures"][0]


def test_options_go_to_their_measure_and_wrong_ones_are_said():
    answer = measure_each({"sample_entropy": {"radius": 0.5}, "dfa": {"orders": 1}}, windows=[SINE])

    assert "orders" in answer["figures"][0]["error"]
    right = measure_each({"sample_entropy": {"radius": 0.5}}, windows=[SINE])["figures"][0]
    assert right == {"sample_entropy": attractor.sample_entropy(SINE, radius=0.5)}


def test_what_is_infinite_is_null():
    answer = measure_each({"sample_entropy": {"radius": 1e-9}}, windows=[[0.0, 5.0, -9.0, 2.0]])

    assert answer["figures"] == [{"sample_entropy": None}]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "either windows"),
        ({"windows": [SINE], "series": SINE}, "either windows"),
        ({"series": SINE}, "length is None"),
        ({"series": SINE, "length": 601}, "length is 601"),
        ({"windows": [1.0, 2.0]}, "list of lists"),
        ({"windows": [[0.0] * 1000] * (MAX_SAMPLES // 1000 + 1)}, "split it"),
    ],
)
def test_a_batch_that_cannot_be_cut_is_not_tried_again(arguments, reason):
    with pytest.raises(GiveUp, match=reason):
        analyze_each(**arguments)


@pytest.mark.parametrize(
    ("measures", "windows"),
    [
        ({"delay_embed": {"dimension": 100, "lag": 1}}, [SINE] * 10),
        ({"surrogates": {"count": 1000}}, [SINE]),
        ({"surrogates": {}}, [[0.0] * 3000] * 10),
        (
            {"average_mutual_information": {"maximum": 599, "bins": 2}},
            [SINE] * (MAX_VALUES // 600 + 1),
        ),
    ],
)
def test_an_answer_that_no_message_could_hold_is_not_computed(measures, windows):
    with pytest.raises(GiveUp, match="more than 500000 numbers"):
        measure_each(measures, windows=windows)


def test_what_would_take_too_long_is_said_of_its_window():
    measures = {"zero_one_chaos": {"frequencies": 10**7}}

    answer = measure_each(measures, windows=[SINE])

    assert "at most 1000" in answer["figures"][0]["error"]


def test_a_task_is_stopped_between_measures_too(tmp_path):
    flag = tmp_path / "cancelled"

    class Stopping(Journal):
        def report(self, done, note):
            flag.touch()

    context = a_context(cancel_flag=str(flag), journal=Stopping(None))
    with Entered(context), pytest.raises(Cancelled):
        measure_each({"dfa": {}}, windows=[SINE])


def test_a_task_stops_when_cancelled_and_before_its_time_limit(tmp_path):
    flag = tmp_path / "cancelled"
    flag.touch()
    with Entered(a_context(cancel_flag=str(flag))), pytest.raises(Cancelled):
        analyze_each(windows=[SINE])
    with (
        Entered(a_context(deadline=time.monotonic())),
        pytest.raises(GiveUp, match="after 0 of 1"),
    ):
        analyze_each(windows=[SINE])


@pytest.mark.parametrize(
    ("name", "payload", "right"),
    [
        ("attractor.analyze_each", {"windows": [[1.0]], "mode": "deep"}, True),
        ("attractor.analyze_each", {"series": {"$from": "a"}, "length": 64}, True),
        ("attractor.analyze_each", {"series": [1.0], "length": 0}, False),
        ("attractor.measure_each", {"windows": [[1.0]], "measures": {"dfa": {}}}, True),
        ("attractor.measure_each", {"windows": [[1.0]], "measures": {"guess": {}}}, False),
        ("attractor.measure_each", {"windows": [[1.0]]}, False),
    ],
)
def test_schemas_take_what_handlers_take(name, payload, right):
    assert jsonschema.Draft202012Validator(SCHEMAS[name]).is_valid(payload) is right

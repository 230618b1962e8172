"""The handlers for formulas, forecasts and trees: batches in, JSON out, reasons for what fails."""

from __future__ import annotations

import json
import math
import sys

import jsonschema
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from kernels import forecast, temporal_logic, trees
from workers.context import Cancelled, Context, Entered, GiveUp
from workers.handlers import SCHEMAS, logic
from workers.journal import Journal

TRACES = [{"x": [1.0, 2.0, 9.0, 1.0], "p": [True, True, False, True]}, [{"x": 1.0, "p": True}]]


def said(answer):
    """What is left of an answer in a message."""
    assert json.loads(json.dumps(answer, allow_nan=False)) == json.loads(json.dumps(answer))
    return json.loads(json.dumps(answer))


def test_each_formula_is_checked_on_each_trace():
    first, second = said(logic.check_each(["G(x < 5)", "F p"], TRACES))["checks"]

    assert [check["satisfied"] for check in first] == [False, True]
    assert first[0]["robustness"] == -4.0
    assert (first[0]["violation"]["index"], first[0]["violation"]["values"]) == (2, {"x": 9.0})
    assert first[1]["robustness"] == sys.float_info.max
    assert second[0] == {"satisfied": True, "robustness": 4.0, "violation": None}


def test_verdicts_have_three_and_four_values():
    first, second = said(logic.verdict_each(["G(x < 5)"], TRACES))["verdicts"]

    assert (first[0]["three"], first[0]["decided_after"]) == ("false", 3)
    assert (second[0]["three"], second[0]["four"]) == ("inconclusive", "presumably true")


def test_robustness_comes_sample_by_sample():
    found = said(logic.robustness_each("F[0,1] x > 3", TRACES))["robustness"]

    assert found[0] == temporal_logic.robustness("F[0,1] x > 3", TRACES[0]).tolist()


def test_one_bad_trace_gets_its_reason_and_the_others_stand():
    found = logic.robustness_each("x > 3", [{"x": [math.nan]}, {"x": [4.0]}, {"y": [1.0]}, 3])

    values = found["robustness"]
    assert values[1] == [1.0]
    assert "x has nan" in values[0]["error"]
    assert "no signal 'x'" in values[2]["error"]
    assert "list of steps" in values[3]["error"]


def test_a_long_conjunction_and_a_long_sum_do_not_spoil_a_batch():
    formulas = [" & ".join(["p"] + ["x < 5"] * 300), " + ".join(["x"] * 90) + " < 1000"]

    first, second = said(logic.check_each(formulas, TRACES))["checks"]

    assert [check["satisfied"] for check in first] == [True, True]
    assert second[1]["robustness"] == 910.0


def test_forecasts_and_their_comparison():
    series = [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0] * 3, [1.0]]

    made = said(logic.forecast_each(series, 3, period=8))["forecasts"]
    compared = said(logic.compare_each(series, 2, folds=2))["comparisons"]

    assert made[0]["values"] == forecast.holt_winters(series[0], 3, 8).values.tolist()
    assert "at least 16" in made[1]["error"]
    assert {row["method"] for row in compared[0]} == {"naive", "holt_winters"}


def test_packed_trees_judge_rows_with_gaps():
    rows = np.random.default_rng(0).normal(size=(80, 2))
    model = HistGradientBoostingClassifier(max_iter=3).fit(rows, rows[:, 0] > 0)
    packed = json.loads(json.dumps(trees.pack(model).as_dict()))

    answer = said(logic.predict(packed, [[1.0, None], [-1.0, 0.5]]))

    assert answer["predictions"] == [True, False]
    assert answer["labels"] == [False, True]
    assert np.shape(answer["probabilities"]) == (2, 2)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: logic.check_each(["G("], TRACES), "position 2"),
        (lambda: logic.check_each(["p"] * 101, TRACES), "101 formulas"),
        (lambda: logic.verdict_each(["p"], [{}] * 10_001), "10001 items"),
        (lambda: logic.robustness_each("p", [{"p": [0] * 500_001}]), "500001 samples"),
        (lambda: logic.forecast_each([[1.0, 2, 3, 4]] * 10, 50_000), "split the task"),
        (lambda: logic.compare_each([[1.0] * 50_000] * 20, 10_000, folds=3), "fewer folds"),
        (lambda: logic.check_each([" xor ".join("p" * 70)], TRACES), "nested too deeply"),
        (lambda: logic.predict({}, [[1.0]]), "as_dict"),
        (lambda: logic.predict({}, [[1.0]] * 100_001), "100001 rows"),
    ],
)
def test_what_can_never_work_is_not_tried_again(call, says):
    with pytest.raises(GiveUp, match=says):
        call()


def test_a_batch_says_how_far_it_is_and_stops_when_told_to(tmp_path):
    flag = tmp_path / "cancel"
    context = Context(None, 1, 1, None, math.inf, Journal(None), cancel_flag=str(flag))
    with Entered(context):
        logic.check_each(["F p"], TRACES)
        assert context.journal.note == "1 of 2 traces"

        flag.touch()
        with pytest.raises(Cancelled):
            logic.check_each(["F p"], TRACES)


def test_a_batch_that_would_be_killed_gives_up_before():
    with (
        Entered(Context(None, 1, 1, None, 0.0, Journal(None))),
        pytest.raises(GiveUp, match="after 0 of 2 traces"),
    ):
        logic.check_each(["F p"], TRACES)


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("logic.check_each", {"formulas": ["p"], "traces": TRACES}),
        ("logic.verdict_each", {"formulas": ["p"], "traces": {"$from": "traces"}}),
        ("logic.robustness_each", {"formula": "p", "traces": TRACES}),
        ("forecast.each", {"series": [[1, 2]], "horizon": 3, "probability": 0.5}),
        ("forecast.compare_each", {"series": [[1, 2]], "horizon": 3, "folds": 2}),
        ("trees.predict", {"model": {}, "rows": [[1.0, None]]}),
    ],
)
def test_payloads_are_described_by_their_schemas(name, payload):
    jsonschema.validate(payload, SCHEMAS[name])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**payload, "else": 1}, SCHEMAS[name])

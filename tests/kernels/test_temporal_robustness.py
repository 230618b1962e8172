"""Truth and robustness are those of the definitions, sample by sample, to the last bit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import temporal_logic
from kernels.temporal_logic import windows
from kernels.temporal_logic.formula import Formula
from tests.kernels import naive_logic
from tests.kernels.formulas import comparisons, formulas, traces
from tests.kernels.strategies import checked, in_other_clothes

thorough = settings(checked, max_examples=60)


def made(tree):
    return Formula(tree, str(tree))


@thorough
@given(formulas(depth=3), traces(24))
def test_robustness_is_its_definition(tree, trace):
    n = len(trace["x"])
    plain = {name: values.tolist() for name, values in trace.items()}

    found = temporal_logic.robustness(made(tree), trace)

    assert found.tolist() == naive_logic.robustness(tree, plain, n)


@thorough
@given(formulas(depth=3), traces(24))
def test_truth_is_its_definition(tree, trace):
    found = temporal_logic.holds(made(tree), trace)

    expected = naive_logic.truth(tree, trace, len(trace["x"]))
    assert found.tolist() == [value > 0 for value in expected]
    assert temporal_logic.satisfies(made(tree), trace) is (expected[0] > 0)


@checked
@given(formulas(depth=5, longest=3), traces(64))
def test_a_positive_robustness_means_true_and_a_negative_one_false(tree, trace):
    values = temporal_logic.robustness(made(tree), trace)
    truth = temporal_logic.holds(made(tree), trace)

    assert truth[values > 0].all()
    assert not truth[values < 0].any()


@checked
@given(formulas(depth=3, leaves=comparisons()), traces(40), st.integers(0, 6), st.integers(0, 6))
def test_the_laws_of_the_operators_hold(tree, trace, low, width):
    def values(template):
        return temporal_logic.robustness(template.replace("p", f"({tree})"), trace).tolist()

    window = f"[{low},{low + width}]"

    assert values("G p") == values("G G p") == values("!F !p")
    assert values(f"F{window} p") == values(f"!G{window} !p") == values(f"true U{window} p")
    assert values(f"O{window} p") == values(f"!H{window} !p") == values(f"true S{window} p")
    assert values(f"F{window}(p | x > 0)") == values(f"(F{window} p) | (F{window} x > 0)")
    assert values("x > 0 W p") == values("(x > 0 U p) | G x > 0")
    assert values("x > 0 M p") == values("p U (x > 0 & p)")


@checked
@given(st.integers(1, 700), st.integers(0, 2**32 - 1), st.integers(0, 400), st.integers(0, 400))
def test_long_windows_are_running_extremes(n, seed, low, width):
    x = np.random.default_rng(seed).normal(size=n)
    ahead = [x[t + low : t + low + width + 1] for t in range(n)]
    behind = [x[max(0, t - low - width) : max(0, t - low + 1)] for t in range(n)]

    for sign, part, extreme in (("F", ahead, max), ("G", ahead, min), ("O", behind, max)):
        found = temporal_logic.robustness(f"{sign}[{low},{low + width}](x > 0)", {"x": x})
        empty = math.inf if sign == "G" else -math.inf
        assert found.tolist() == [extreme(w, default=empty) for w in part]


def test_windows_change_their_method_without_a_seam():
    x = np.random.default_rng(3).normal(size=2000)

    for width in (windows._DOUBLING, windows._DOUBLING + 1, 1998, 1999, 2000, 5000):
        found = temporal_logic.robustness(f"F[0,{width - 1}](x > 0)", {"x": x})
        assert found.tolist() == [x[t : t + width].max() for t in range(x.size)]


@checked
@given(traces(40))
def test_dtype_layout_and_spelling_of_a_trace_do_not_matter(trace):
    formula = "G[0,3](x > 0.5 -> F[0,4] p)"
    expected = temporal_logic.robustness(formula, trace).tolist()

    for other in in_other_clothes(trace["x"]):
        assert temporal_logic.robustness(formula, {**trace, "x": other}).tolist() == expected
    steps = [{"x": x, "p": bool(p)} for x, p in zip(trace["x"], trace["p"], strict=True)]
    assert temporal_logic.robustness(formula, steps).tolist() == expected


def test_steps_may_be_the_sets_of_what_holds():
    steps = [{"req"}, set(), {"ack"}, {"req", "ack"}]

    assert temporal_logic.satisfies("G(req -> F ack)", steps)
    assert not temporal_logic.satisfies("G(req -> X ack)", steps)


def test_at_the_last_position_the_strong_next_is_false_and_the_weak_one_true():
    trace = {"p": [True, True]}

    assert temporal_logic.holds("X p", trace).tolist() == [True, False]
    assert temporal_logic.holds("WX false", trace).tolist() == [False, True]
    assert temporal_logic.holds("last", trace).tolist() == [False, True]


def test_a_window_beyond_the_end_is_empty():
    x = {"x": [1.0, 2.0, 3.0]}

    assert temporal_logic.robustness("F[2,5](x > 0)", x).tolist() == [3.0, -math.inf, -math.inf]
    assert temporal_logic.robustness("G[2,5](x > 0)", x).tolist() == [3.0, math.inf, math.inf]


@pytest.mark.parametrize(
    ("trace", "says"),
    [
        ({}, "no signal 'x'"),
        ({"x": [], "p": []}, "empty"),
        ([], "empty"),
        ({"p": [True, True], "x": [1.0, math.nan]}, "x has nan at index 1"),
        ({"p": [True, True], "x": np.array([1.0, math.inf])}, "x has inf at index 1"),
        ({"p": [True], "x": np.ones((2, 2))}, r"shape \(2, 2\)"),
        ({"p": [True], "x": ["a"]}, "real numbers"),
        ({"x": [1.0], "p": [True, False]}, "one length"),
        ({"x": [1.0], "p": [math.nan]}, "p has nan"),
        ([{"p": True}], "step 0 has no value for x"),
        ([{"p"}], "number for x"),
        ("x", "list of steps"),
        (3, "list of steps"),
    ],
)
def test_a_trace_that_does_not_fit_is_refused_in_words(trace, says):
    with pytest.raises(ValueError, match=says):
        temporal_logic.robustness("x > 1 & p", trace)


def test_a_trace_too_long_for_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr("kernels.temporal_logic.trace.MAX_CELLS", 10)

    with pytest.raises(ValueError, match="feed a Monitor"):
        temporal_logic.robustness("x > 1", {"x": np.zeros(11)})

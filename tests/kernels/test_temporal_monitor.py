"""A monitor says what the whole trace says, as soon as it can, whatever the chunks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kernels import temporal_logic
from kernels.temporal_logic.formula import Formula
from kernels.temporal_logic.monitor import Monitor
from kernels.temporal_logic.verdicts import Outcome
from tests.kernels.formulas import FUTURE, PAST, formulas, traces
from tests.kernels.strategies import checked

thorough = settings(checked, max_examples=50)


def part(trace, start, stop):
    return {name: values[start:stop] for name, values in trace.items()}


@st.composite
def cuts(draw, length):
    inside = draw(st.lists(st.integers(0, length), max_size=5))
    return list(zip([0, *sorted(inside)], [*sorted(inside), length], strict=True))


def watched(formula):
    try:
        return Monitor(formula)
    except ValueError as refused:
        assume("past operator" not in str(refused) and "obligations" not in str(refused))
        raise


@thorough
@given(formulas(depth=3), traces(40), st.data())
def test_chunks_give_what_the_whole_trace_gives(tree, trace, data):
    formula = Formula(tree, str(tree))
    monitor = watched(formula)
    n = trace["x"].size

    values = []
    for start, stop in data.draw(cuts(n)):
        update = monitor.update(part(trace, start, stop))
        if formula.horizon is not None:
            assert update.position == len(values)
            assert (
                len(update.lower)
                == len(update.upper)
                == stop - len(values) - len(update.robustness)
            )
        values += update.robustness.tolist()
    values += monitor.finish().robustness.tolist()

    expected = temporal_logic.robustness(formula, trace).tolist()
    assert values == (expected if formula.horizon is not None else expected[:1])


@thorough
@given(formulas(depth=3), traces(40), st.data())
def test_bounds_hold_whatever_follows_and_only_get_closer(tree, trace, data):
    formula = Formula(tree, str(tree))
    monitor = watched(formula)
    n = trace["x"].size
    lowest, highest = np.full(n, -math.inf), np.full(n, math.inf)
    final = []
    for start, stop in data.draw(cuts(n)):
        update = monitor.update(part(trace, start, stop))
        final += update.robustness.tolist()
        open_ones = slice(len(final), len(final) + len(update.lower))
        assert (update.lower >= lowest[open_ones]).all()
        assert (update.upper <= highest[open_ones]).all()
        lowest[open_ones], highest[open_ones] = update.lower, update.upper
    final += monitor.finish().robustness.tolist()

    count = len(final)
    assert (lowest[:count] <= final).all()
    assert (final <= highest[:count]).all()


@pytest.mark.parametrize(
    ("formula", "lower", "upper", "end"),
    [
        ("G y > 0", -math.inf, -4.0, -4.0),
        ("F y > 0", 5.0, math.inf, 5.0),
        ("G(x > 0 -> F y > 0)", -math.inf, math.inf, 5.0),
        ("x < 3 U y > 0", 1.0, 1.0, 1.0),
        ("F G y > 0", -math.inf, math.inf, 5.0),
        ("G y > 0 | F[0,1] x > 0", 2.0, 2.0, 2.0),
    ],
)
def test_an_unbounded_formula_is_bounded_at_its_first_position(formula, lower, upper, end):
    monitor = Monitor(formula)

    monitor.update({"x": [-1.0, 2.0], "y": [-3.0, -4.0]})
    update = monitor.update({"x": [-1.0], "y": [5.0]})

    assert (update.lower.tolist(), update.upper.tolist()) == ([lower], [upper])
    assert monitor.finish().robustness.tolist() == [end]


def test_a_decided_formula_has_its_verdict_before_the_end():
    monitor = Monitor("G x < 5")
    assert monitor.verdict is Outcome.INCONCLUSIVE

    monitor.update({"x": [1.0, 2.0]})
    assert monitor.verdict is Outcome.INCONCLUSIVE

    monitor.update({"x": [7.0]})
    assert monitor.verdict is Outcome.FALSE

    monitor.reset()
    assert (monitor.samples, monitor.verdict) == (0, Outcome.INCONCLUSIVE)


def test_values_are_final_one_horizon_later():
    monitor = Monitor("G[0,2] x > 0")

    early = monitor.update({"x": [1.0, 2.0]})
    late = monitor.update({"x": [3.0]})

    assert (early.robustness.tolist(), early.upper.tolist()) == ([], [1.0, 2.0])
    assert (late.position, late.robustness.tolist()) == (0, [1.0])
    assert monitor.verdict is Outcome.TRUE


def test_memory_does_not_grow_with_the_stream():
    monitor = Monitor("G[0,100]F[0,10](x > 5)", intervals=False)
    before = monitor.memory
    x = np.random.default_rng(0).normal(size=20_000) * 9

    found = monitor.update({"x": x})

    assert monitor.memory == before < 5000
    assert found.lower.size == 0
    whole = temporal_logic.robustness(monitor.formula, {"x": x})
    assert found.robustness.tolist() == whole[:-110].tolist()


def test_a_refused_chunk_changes_nothing():
    monitor = Monitor("G[0,1] x > 0")
    monitor.update({"x": [1.0]})

    with pytest.raises(ValueError, match="x has nan at index 1"):
        monitor.update({"x": [5.0, math.nan]})

    assert monitor.update({"x": [2.0]}).robustness.tolist() == [1.0]


def test_nothing_is_taken_after_the_end():
    monitor = Monitor("F x > 0")
    monitor.update({"x": [1.0]})
    monitor.finish()

    with pytest.raises(ValueError, match="call reset"):
        monitor.update({"x": [1.0]})


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("O F p", "past operator"),
        ("p S G q", "past operator"),
        ("G[0,200](p | F q) & G[0,200](q | F r) & F[0,300] G p", "sets of obligations"),
        (" & ".join(f"G[0,1000000] x > {k}" for k in range(14)), "numbers of memory"),
    ],
)
def test_what_cannot_be_watched_in_bounded_memory_is_refused(formula, says):
    with pytest.raises(ValueError, match=says):
        Monitor(formula)


@checked
@given(formulas(depth=3, kinds=FUTURE | PAST), traces(30))
def test_single_samples_and_steps_are_chunks_too(tree, trace):
    formula = Formula(tree, str(tree))
    whole, single = watched(formula), watched(formula)
    whole.update(trace)

    for at in range(trace["x"].size):
        single.update([{name: values[at] for name, values in trace.items()}])

    assert single.bounds()[0].tolist() == whole.bounds()[0].tolist()
    assert single.finish().robustness.tolist() == whole.finish().robustness.tolist()


def test_many_obligations_joined_in_a_row_are_watched_one_by_one():
    names = [f"s{number}" for number in range(600)]
    monitor = Monitor(" & ".join(f"G {name}" for name in names))

    monitor.update({name: [True, True] for name in names})
    assert monitor.verdict is Outcome.INCONCLUSIVE
    monitor.update({name: [name != "s444"] for name in names})
    assert monitor.verdict is Outcome.FALSE
    with pytest.raises(temporal_logic.TooLarge):
        Monitor(" <-> ".join(f"F {name}" for name in names[:50]))

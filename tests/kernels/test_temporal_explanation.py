"""A violation is told with the first position, the samples that show it, and the part to blame."""

from __future__ import annotations

import pytest
from hypothesis import given

from kernels import temporal_logic
from kernels.temporal_logic.formula import Formula
from tests.kernels.formulas import formulas, traces
from tests.kernels.strategies import checked

REQUESTS = {
    "req": [False, True, False, False, True, False, False],
    "ack": [False, False, True, False, False, False, False],
    "x": [1.0, 2.0, 3.0, 9.0, 4.0, 5.0, 6.0],
}


@pytest.mark.parametrize(
    ("formula", "index", "interval", "part"),
    [
        ("G(x < 8)", 3, (3, 3), "x < 8"),
        ("G(req -> F[0,2] ack)", 4, (4, 6), "F[0,2] ack"),
        ("G[0,2] (x < 3)", 2, (2, 2), "x < 3"),
        ("F[0,3] x > 10", 0, (0, 3), "F[0,3] x > 10"),
        ("G(x < 20) & F x < 0", 0, (0, 6), "F x < 0"),
        ("X X req", 2, (2, 2), "req"),
        ("(x < 3) U (x > 8)", 2, (0, 2), "(x < 3) U (x > 8)"),
        ("false R (x < 8)", 3, (3, 3), "x < 8"),
        ("!F x > 8", 3, (3, 3), "x > 8"),
        ("G(x > 8 -> O[1,2] req)", 3, (3, 3), None),
        ("G(ack -> H x < 3)", 2, (2, 2), "x < 3"),
        ("req | x > 5", 0, (0, 0), "req | x > 5"),
        ("G(x <= 6 xor ack)", 2, (2, 2), "x <= 6 xor ack"),
    ],
)
def test_the_first_violation_is_found(formula, index, interval, part):
    found = temporal_logic.explain(formula, REQUESTS)

    if part is None:
        assert found is None
        return
    assert (found.index, found.interval, found.subformula) == (index, interval, part)
    assert found.path[0] == formula
    assert found.path[-1] == part


def test_the_signals_at_the_violation_are_told():
    found = temporal_logic.explain("G(x + 0*x < 8 & x > 0)", REQUESTS)

    assert (found.truth, found.values) == (False, {"x": 9.0})


@checked
@given(formulas(depth=4), traces(30))
def test_the_blamed_part_is_what_is_said_of_it(tree, trace):
    formula = Formula(tree, "")
    found = temporal_logic.explain(formula, trace)

    assert (found is None) == temporal_logic.satisfies(formula, trace)
    if found is not None:
        part = temporal_logic.parse(found.subformula)
        missing = [] if part.columns else {"x": trace["x"]}
        assert temporal_logic.holds(part, missing or trace)[found.index] == found.truth
        assert 0 <= found.interval[0] <= found.interval[1] < trace["x"].size

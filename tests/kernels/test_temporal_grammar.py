"""Formulas are read in their usual spellings, and a mistake is told with its place."""

from __future__ import annotations

import pytest
from hypothesis import given

from kernels import temporal_logic
from tests.kernels.formulas import formulas
from tests.kernels.strategies import checked


@checked
@given(formulas(depth=4))
def test_a_formula_is_read_back_from_its_own_print(tree):
    assert temporal_logic.parse(str(tree)).tree == tree


@pytest.mark.parametrize(
    ("spellings", "canonical"),
    [
        (("G p", "always p", "[] p", "globally p", "□p"), "G(p)"),
        (("F[0,10](x > 5)", "eventually[0:10] x>5", "<>[0,10]x>5", "F_[0,11) (5<x)"), None),
        (("GF p", "G F p", "[]<>p", "always eventually p"), "G(F(p))"),
        (("a & b | !c -> d", "((a and b) or not c) implies d", "a/\\b \\/ ~c => d"), None),
        (("a && b || c", "a ∧ b ∨ c"), "((a) & (b)) | (c)"),
        (("a <-> b", "a <=> b", "a iff b", "a ↔ b"), "(a) <-> (b)"),
        (("a U b U c", "a until (b until c)"), "(a) U ((b) U (c))"),
        (("a -> b -> c", "a -> (b -> c)"), "(a) -> ((b) -> (c))"),
        (("a & b U c", "a & (b U c)"), "(a) & ((b) U (c))"),
        (("!a U b", "(!a) U b"), "(!(a)) U (b)"),
        (("p S[1,4] q", "p since[1:4] q"), "(p) S[1,4] (q)"),
        (("O[0,inf] p", "once p", "O[0,∞]p"), "O(p)"),
        (("X p", "next p", "s_next p"), "X(p)"),
        (("N p", "WX p", "weak_next p"), "WX(p)"),
        (("2*x - 3*y + 1 <= abs(z)/2",), "(((2 * x) - (3 * y)) + 1) <= (abs(z) / 2)"),
        (("x >= 3", "x ≥ 3"), "x >= 3"),
        (("x != 3", "x !== 3", "x ≠ 3"), "x != 3"),
        (("x == -2.5", "x = -2.5"), "x == -2.5"),
    ],
)
def test_usual_spellings_mean_the_same(spellings, canonical):
    trees = [temporal_logic.parse(text) for text in spellings]

    if canonical is not None:
        assert str(trees[0]) == canonical
    pool = trees[0].pool
    assert {pool.translate(formula.tree) for formula in trees} == {trees[0].root}


@pytest.mark.parametrize("name", ["X", "G", "F", "U", "S", "T", "R", "GF", "FX", "M"])
def test_a_letter_is_a_signal_where_no_operator_may_stand(name):
    formula = temporal_logic.parse(f"G({name} > 5)")

    assert formula.names == (name,)
    assert temporal_logic.parse(str(formula)) == formula


def test_any_name_may_be_written_in_quotes():
    formula = temporal_logic.parse("\"room 1/°C\" > 20 & 'until'")

    assert formula.names == ("room 1/°C", "until")


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 0, "operand was expected"),
        ("a &", 3, "operand was expected"),
        ("x + 1", 0, "not a truth value; compare it"),
        ("1 < x < 5", 6, r"write both comparisons: \(1 < x\) & \(x < 5\)"),
        ("G[5,3] p", 1, "interval is empty"),
        ("G[0,10s] p", 4, "divide a time by the sample interval"),
        ("G[0.5,2] p", 2, "whole numbers"),
        ("G[3] p", 3, "two bounds"),
        ("G[0,9999999] p", 4, "at most"),
        ("x*y > 1", 1, "only linear arithmetic"),
        ("x/0 > 1", 1, "division by zero"),
        ("1e200*x > 1", 8, "overflow"),
        ("(a", 2, "opened at position 0"),
        ("a b", 2, "join two formulas"),
        ("(x > 1) + 2 > 3", 0, "join comparisons with &"),
        ("X[1,2] p", 1, "takes no interval"),
        ("a ? b", 2, "not understood"),
        ("p until", 7, "operand was expected"),
        ("always", 0, "has none"),
        ("!" * 100 + "p", 61, "nested too deeply"),
        ("!" * 40 + "(" + " xor ".join("p" * 40) + ")", 18, "nested too deeply"),
        (" <-> ".join("p" * 62), 362, "nested too deeply"),
        ("x + " * 150 + "x > 1", 402, "more than 100 terms"),
        ("-(" * 25 + "x" + "+x" * 80 + ")" * 25 + "> 1", 8, "more than 100 terms"),
        ("p & " * 6000 + "p", 20_000, "characters"),
        (3, 0, "as a string"),
    ],
)
def test_a_mistake_is_told_with_position_and_hint(text, position, says):
    with pytest.raises(temporal_logic.FormulaError, match=says) as caught:
        temporal_logic.parse(text)

    assert caught.value.position == position
    assert caught.value.hint in str(caught.value)


@pytest.mark.parametrize(("sign", "least"), [("&", -7.0), ("|", 4.0)])
def test_any_number_of_formulas_may_be_joined_in_a_row(sign, least):
    names = [f"s{number}" for number in range(1200)]
    trace = {name: [4.0] for name in names} | {"s900": [-7.0]}

    formula = temporal_logic.parse(f" {sign} ".join(f"{name} > 0" for name in names))

    assert temporal_logic.robustness(formula, trace).tolist() == [least]
    assert temporal_logic.parse(str(formula)) == formula
    found = temporal_logic.explain(formula, trace)
    assert (found and found.subformula) == ("s900 > 0" if sign == "&" else None)


def test_the_deepest_formulas_that_are_read_are_evaluated_too():
    """Also from deep within other calls, as in a task or a request."""
    deepest = [
        "(" * 58 + "p & q" + ")" * 58,
        "!" * 57 + "(p & q)",
        " <-> ".join("p" * 61),
        "G " * 58 + "(" + "0.5*x + " * 48 + "x > -1)",
        "(x > 1 -> " * 29 + "x > 1" + ")" * 29,
    ]
    trace = {"p": [True], "q": [True], "x": [2.0]}

    def judge(text, frames):
        if frames:
            return judge(text, frames - 1)
        formula = temporal_logic.parse(text)
        temporal_logic.explain(formula, trace)
        assert hash(formula) == hash(temporal_logic.parse(text))
        return temporal_logic.satisfies(formula, trace)

    assert [judge(text, 150) for text in deepest] == [True, False, True, True, True]


def test_formulas_with_shared_parts_take_no_longer_than_they_are():
    formula = temporal_logic.parse(" <-> ".join(f"F[0,2] O[1,3] s{n}" for n in range(50)))

    assert (formula.horizon, formula.pool.history(formula.root)) == (2, 3)
    assert temporal_logic.parse("F (a <-> b <-> c)").horizon is None
    assert temporal_logic.Monitor(formula).horizon == 2

"""A verdict is given when, and only when, no way to go on could change it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kernels import temporal_logic
from kernels.temporal_logic import Outcome, TooLarge, alphabet, automaton, progression, verdicts
from kernels.temporal_logic.components import components
from kernels.temporal_logic.formula import Formula
from tests.kernels import naive_logic
from tests.kernels.formulas import FUTURE, PAST, formulas, propositions, traces
from tests.kernels.strategies import checked

BOOLEAN = {"!", "&", "|", "->", "<->", "xor"}
thorough = settings(checked, max_examples=50)


def small(kinds=FUTURE, depth=2, longest=2):
    return formulas(depth=depth, leaves=propositions(), kinds=kinds | _boolean(), longest=longest)


def _boolean():
    return frozenset(kind for kind in temporal_logic.words.Kind if kind.value in BOOLEAN)


def lassos(prefix):
    """The prefix, up to one more step, and a loop of one or two, over the letters of p and q."""
    letters = list(itertools.product([False, True], repeat=2))
    for more in (0, 1):
        for length in (1, 2):
            for steps in itertools.product(letters, repeat=more + length):
                word = [*prefix, *steps]
                yield (
                    {
                        "p": [p for p, _ in word],
                        "q": [q for _, q in word],
                        "r": [False] * len(word),
                    },
                    len(prefix) + more,
                )


@thorough
@given(small(), st.lists(st.tuples(st.booleans(), st.booleans()), max_size=3))
def test_a_verdict_is_what_all_endless_continuations_say(tree, prefix):
    assume("r" not in Formula(tree, "").names)
    trace = {"p": [p for p, _ in prefix], "q": [q for _, q in prefix]}
    found = {naive_logic.on_lasso(tree, word, start) for word, start in lassos(prefix)}

    three = temporal_logic.verdict(Formula(tree, str(tree)), trace).three

    expected = {Outcome.TRUE: {True}, Outcome.FALSE: {False}, Outcome.INCONCLUSIVE: {True, False}}
    assert found == expected[three]


@thorough
@given(small(kinds=FUTURE | PAST, depth=3, longest=3), traces(12))
def test_until_decided_the_trace_is_judged_as_it_stands(tree, trace):
    formula = Formula(tree, str(tree))
    try:
        found = temporal_logic.outcomes(formula, trace)
    except (TooLarge, ValueError) as refused:
        assume("past operator" not in str(refused) and not isinstance(refused, TooLarge))
        raise

    decided = None
    for end, outcome in enumerate(found.tolist(), start=1):
        part = {name: values[:end] for name, values in trace.items()}
        if decided is not None or outcome in {automaton.FALSE, automaton.TRUE}:
            decided = outcome if decided is None else decided
            assert outcome == decided
            continue
        satisfied = temporal_logic.satisfies(formula, part)
        assert outcome == (automaton.PRESUMABLY_TRUE if satisfied else automaton.PRESUMABLY_FALSE)


@checked
@given(small(kinds=PAST, depth=3, longest=3), traces(12))
def test_the_past_is_remembered_as_it_was(tree, trace):
    watched = Formula(temporal_logic.parse(f"G({tree})").tree, "")
    truth = np.array(naive_logic.truth(tree, trace, trace["x"].size)) > 0

    found = temporal_logic.outcomes(watched, trace)

    broken = ~np.logical_and.accumulate(truth)
    assert (found[broken] == automaton.FALSE).all()
    if not watched.columns or "true" in str(tree) or "false" in str(tree):
        return
    assert set(found[~broken]) <= {automaton.PRESUMABLY_TRUE, automaton.TRUE, automaton.FALSE}


@pytest.mark.parametrize(
    ("formula", "steps", "three", "four", "after", "decidable", "monitorable"),
    [
        ("G p", ["p", "p"], "inconclusive", "presumably true", None, True, True),
        ("G p", ["p", ""], "false", "false", 2, True, True),
        ("F p", ["", ""], "inconclusive", "presumably false", None, True, True),
        ("F p", ["", "p", ""], "true", "true", 2, True, True),
        ("GF p", ["p"], "inconclusive", "presumably true", None, False, False),
        ("G(p -> F q)", ["p"], "inconclusive", "presumably false", None, False, False),
        ("G(p -> F[0,2] q)", ["p", "", ""], "false", "false", 3, True, True),
        ("p U q", ["p", ""], "false", "false", 2, True, True),
        ("F p & G !p", [], "false", "false", 0, True, True),
        ("p | !p", [], "true", "true", 0, True, True),
        ("X p", ["p"], "inconclusive", "presumably false", None, True, True),
        ("WX p", ["p"], "inconclusive", "presumably true", None, True, True),
        ("F last", ["p"], "false", "false", 0, True, True),
        ("G(p -> O q)", ["q", "p"], "true", "true", 1, True, True),
        ("G(p -> O q)", ["", "p"], "false", "false", 2, True, True),
        ("q | GF p", ["q"], "true", "true", 1, True, False),
        ("q | GF p", [""], "inconclusive", "presumably false", None, False, False),
        ("(p & X q) | GF p", ["p", "q"], "true", "true", 2, True, False),
    ],
)
def test_known_verdicts(formula, steps, three, four, after, decidable, monitorable):
    trace = [{letter for letter in step if letter.strip()} for step in steps]

    found = temporal_logic.verdict(formula, trace)

    assert (found.three, found.four, found.decided_after) == (three, four, after)
    assert (found.decidable, found.monitorable) == (decidable, monitorable)
    assert temporal_logic.monitorable(formula) is monitorable


def test_thresholds_on_one_signal_are_not_independent():
    assert temporal_logic.verdict("F(x > 5 & x < 3)", []).three is Outcome.FALSE
    assert temporal_logic.verdict("G(x > 3 | x <= 3)", []).three is Outcome.TRUE
    assert temporal_logic.verdict("F(x == 3 & x >= 3 & 2 < x)", {"x": [3.0]}).three is Outcome.TRUE
    assert temporal_logic.verdict("F(x > y & x < y)", []).three is Outcome.INCONCLUSIVE


@checked
@given(traces(20))
def test_every_sample_is_a_letter(trace):
    formula = temporal_logic.parse("G(x > 0 | x <= 1 & x == 0.5 -> x >= -1 & p)")
    truth = temporal_logic.trace.atoms_truth(formula, trace)
    letters = alphabet.Alphabet(formula.pool.atoms)

    numbers = letters.numbers(truth)

    assert [letters.letters[number] for number in numbers] == [
        tuple(column) for column in truth.T.tolist()
    ]


def test_an_automaton_is_built_once():
    formula = temporal_logic.parse("G(p -> F[0,3] q)")

    assert verdicts.automaton_of(formula) is verdicts.automaton_of(formula)


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("O F p", "past operator stands over a future one"),
        (" & ".join(f"a{i}" for i in range(20)), "at most 16"),
        (" & ".join(f"a{i}" for i in range(12)), "kinds of samples"),
        ("&".join(f"G(p{i} -> F[0,60] q{i})" for i in range(4)), "too many ways|sets of"),
        ("G(p -> O[7,30] q)", "more than 50 states"),
        ("G(p -> F[0,900] q)", "transitions"),
    ],
)
def test_what_is_too_large_to_decide_is_refused_in_words(formula, says, monkeypatch):
    monkeypatch.setattr(automaton, "MAX_CUBES", 1000)
    monkeypatch.setattr(automaton, "MAX_STATES", 50)
    monkeypatch.setattr(progression, "MAX_WORK", 50_000)
    monkeypatch.setattr(automaton, "MAX_STEPS", 5000)

    with pytest.raises(ValueError, match=says):
        temporal_logic.monitorable(temporal_logic.Formula(temporal_logic.parse(formula).tree, ""))


@checked
@given(st.dictionaries(st.integers(0, 7), st.lists(st.integers(0, 7), max_size=3), max_size=8))
def test_components_are_mutual_reachability(edges):
    edges = {v: edges.get(v, []) for v in range(8)}
    reach = np.eye(8, dtype=int)
    for v, targets in edges.items():
        reach[v, targets] = 1
    reach = np.linalg.matrix_power(reach, 8) > 0

    group = components(edges)

    for a, b in itertools.product(range(8), repeat=2):
        assert (group[a] == group[b]) == (reach[a, b] and reach[b, a])

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.similarity import evaluation, fitting
from gateway.similarity.alignment import align
from gateway.similarity.evidence import compare
from gateway.similarity.score import MODEL, model_from, score
from gateway.similarity.vetoes import Veto
from gateway.similarity.words import Kind, plain, words
from gateway.strictness import DEFAULT, THRESHOLDS, Strictness

TEXTS = st.text(max_size=80) | st.lists(
    st.sampled_from(
        (
            "how",
            "do",
            "i",
            "turn",
            "on",
            "off",
            "the",
            "3",
            "10",
            "router",
            "Oslo",
            "not",
            "from",
            "to",
        )
    ),
    max_size=12,
).map(" ".join)

REPEATS = [
    ("How do I reset my router?", "um so how do i reset my router"),
    ("How do I reset my router?", "Hello, how can I reset my router please? Thanks"),
    ("How do I reset my router?", "How do I reset my ruoter?"),
    ("How much is a day ticket?", "What is the price of a day ticket?"),
    ("I can't open the attachment", "I cannot open the attachment"),
    ("What is the opening time of the museum?", "WHAT IS THE OPENING TIME OF THE MUSEUM"),
]

TRAPS = [
    ("How do I turn the heating on?", "How do I turn the heating off?", Veto.ANTONYM),
    ("Is lunch included?", "Is lunch not included?", Veto.NEGATION),
    ("Can I hire a van for 3 days?", "Can I hire a van for 5 days?", Veto.NUMBER),
    ("Is the museum open on Monday?", "Is the museum open on Thursday?", Veto.NUMBER),
    ("Which bus goes to Lyon?", "Which bus goes to Nantes?", Veto.NAME),
    ("Fly me from Oslo to Rome", "Fly me from Rome to Oslo", Veto.DIRECTION),
    ("Convert a drawing to a photo", "Convert a photo to a drawing", Veto.DIRECTION),
    ("What does parse_date() return?", "What does parse_time() return?", Veto.CODE),
    ("Is x > 3 allowed?", "Is x < 3 allowed?", Veto.CODE),
    ("Who invented C++?", "Who invented C#?", Veto.CODE),
    ("Why does setup.py fail?", "Why does build.py fail?", Veto.CODE),
]


@pytest.mark.parametrize(("a", "b"), REPEATS)
def test_a_near_repeat_is_served_at_the_default_strictness(a, b):
    assert score(a, b, cosine=0.9) >= THRESHOLDS[DEFAULT]


@pytest.mark.parametrize(("a", "b", "veto"), TRAPS)
def test_a_trap_is_vetoed_by_its_name_and_served_at_no_strictness(a, b, veto):
    assert veto in compare(a, b, cosine=0.99).vetoes
    assert score(a, b, cosine=0.99) < THRESHOLDS[Strictness.LENIENT]


def test_unrelated_questions_are_not_served():
    assert score("How do I bake bread?", "When does the ferry leave?", cosine=0.1) < 0.1


@given(TEXTS, TEXTS)
@settings(max_examples=100, deadline=None)
def test_any_two_texts_have_a_probability_that_the_order_does_not_change(a, b):
    forth, back = score(a, b, cosine=0.8), score(b, a, cosine=0.8)

    assert 0 <= forth <= 1
    assert compare(a, b, 0.8).vetoes == compare(b, a, 0.8).vetoes
    assert forth == pytest.approx(back, abs=0.25)  # greedy pairs may part by the order


@given(TEXTS)
@settings(max_examples=100, deadline=None)
def test_a_text_differs_in_nothing_from_itself(text):
    compared = compare(text, text, cosine=1.0)

    assert compared.vetoes == ()
    assert compared.evidence.most_left == 0
    assert compared.evidence.same == 1


@given(TEXTS)
@settings(max_examples=100, deadline=None)
def test_what_is_plain_stays_as_it_is(text):
    once = " ".join(plain(text).split())

    assert " ".join(plain(once).split()).count("  ") == 0
    assert len(once) <= len(text) * 3 + 10


def test_each_word_has_one_partner_at_most():
    a, b = words("copy the file and the file list"), words("copy the list of files")

    aligned = align(a, b)

    assert len({pair.a for pair in aligned.pairs}) == len(aligned.pairs)
    assert len({pair.b for pair in aligned.pairs}) == len(aligned.pairs)


def test_a_capital_inside_a_sentence_marks_a_name_and_a_text_of_capitals_none():
    assert [word.kind for word in words("Ask Greta")][-1] is Kind.NAME
    assert Kind.NAME not in {word.kind for word in words("ASK GRETA")}


def test_the_hit_rate_is_read_where_wrong_hits_are_as_stated():
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.95, 0.5, 0.4, 0.3])
    should = np.array([True, True, True, True, False, False, False, False])

    none_wrong = evaluation.hit_rate(scores, should, wrong=0.01)
    one_wrong = evaluation.hit_rate(scores, should, wrong=0.25)

    assert (none_wrong.value, none_wrong.threshold) == (0.0, 0.95)
    assert (one_wrong.value, one_wrong.threshold) == (1.0, 0.5)
    assert one_wrong.low <= one_wrong.value <= one_wrong.high


def test_pairs_of_one_kind_have_no_hit_rate():
    with pytest.raises(ValueError, match="both kinds"):
        evaluation.hit_rate(np.array([0.5]), np.array([True]), wrong=0.01)


def test_a_fitted_model_is_the_one_that_is_read_back():
    samples = [
        fitting.Sample(compare(a, b, 0.9), same_answer=True, group=a) for a, b in REPEATS
    ] + [fitting.Sample(compare(a, b, 0.9), same_answer=False, group=a) for a, b, _ in TRAPS]

    model = fitting.fit(samples, {}, "test")

    assert model_from(model.as_dict()) == model
    assert model.probability(samples[0].comparison) > model.probability(samples[-1].comparison)


def test_a_model_without_a_coefficient_is_refused():
    stored = MODEL.as_dict()
    del stored["weights"]["swap"]

    with pytest.raises(ValueError, match="swap"):
        model_from(stored)

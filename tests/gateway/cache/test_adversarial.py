"""Pairs made to be confused: texts that look alike and have other answers have no common form."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from gateway.cache.decision import Candidate, judge
from gateway.cache.normalised import normalised

PAIRS = [
    ("2*(3+4)", "(2*3)+4"),
    ("What is 10 - 5 + 2?", "What is 10 + 5 - 2?"),
    ("Is `A` greater than `a`?", "Is `a` greater than `A`?"),
    ("Is A greater than a?", "Is a greater than A?"),
    ("if x:\n    y()\nz()", "if x:\n    y()\n    z()"),
    ("What is 5% of 20?", "What is 5 of 20%?"),
    ("Evaluate f(a, b)(c)", "Evaluate f(a)(b, c)"),
    ("x' = x", "x = x"),
    ("x’ = x", "x = x"),
    ("x² + 1", "x2 + 1"),
    ("10/5", "5/10"),
    ("Is -5 even?", "Is 5 even?"),
    ("What is 5!", "What is 5"),
    ("What is C++?", "What is C#?"),
    ("price - tax + fee", "tax - price + fee"),
    ("What is $5 of 20?", "What is 5 of $20?"),
    ("Explain ```a = [1]\nb = a```", "Explain ```a = [1] b = a```"),
    ("is Polish polish good?", "is polish Polish good?"),
]
WORDS_ONLY = [
    ("How do you say yes please?", "How do you say yes?"),
    ("Translate: thanks", "Translate: hello"),
    ("Let's eat, grandma", "Let's eat grandma"),
    ("How to meet a man-eating shark", "How to meet a man eating shark"),
    ("what is the US policy", "what is the us policy"),
    ("A is greater than A", "a is greater than A"),
    ("what is I squared", "what is i squared"),
    ("What is meant by 'on'?", "What is meant by on?"),
    ("in Maßen trinken", "in Massen trinken"),
    ("Hello Kitty stickers", "Kitty stickers"),
    ("add 1, 23", "add 12, 3"),
    ("dog bites man", "man bites dog"),
]
SAME = [
    ("How do I reset my router?", "hi, how do i reset my router please"),
    ("Hi, is lunch included, please?", "is lunch included"),
    ("It can’t wait", "it can not wait!"),
    ("Can I travel if I'm ill?", "can i travel if i am ill"),
    ("How do I say so in the app? Thanks", "How do I say so in the app? Thanks!"),
]


def form_in_common(one, other):
    form = normalised(one)
    return form is not None and form == normalised(other)


def served(one, other):
    """Whether the similar level would, where the vectors are the same."""
    return judge(one, Candidate("t0", other, 1.0), 0.0).serves


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_other_arithmetic_and_code_has_no_common_form_and_a_veto(one, other):
    assert not form_in_common(one, other)
    assert "operator" in judge(one, Candidate("t0", other, 1.0), 0.0).vetoes
    assert served(one, one)


@pytest.mark.parametrize(("one", "other"), WORDS_ONLY)
def test_words_that_look_alike_have_no_common_form(one, other):
    assert not form_in_common(one, other)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_prose_keeps_its_common_form(one, other):
    assert form_in_common(one, other)


@st.composite
def expressions(draw, depth=3):
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from(("2", "3", "10", "x", "y")))
    left, right = draw(expressions(depth - 1)), draw(expressions(depth - 1))
    blank = draw(st.sampled_from(("", " ")))
    made = f"{left}{blank}{draw(st.sampled_from('+-*/'))}{blank}{right}"
    return f"({made})" if draw(st.booleans()) else made


ASKED = st.sampled_from(("{}", "What is {}?", "hi, what is {} please", "Compute {} for me"))


@examples(max_examples=100, deadline=None)
@given(expressions(), expressions(), ASKED)
def test_no_two_expressions_share_an_answer(one, other, asked):
    assume(one.replace(" ", "") != other.replace(" ", "") and set(one) & set("+-*/"))
    first, second = asked.format(one), asked.format(other)

    assert not form_in_common(first, second)
    assert not served(first, second)


@examples(max_examples=100, deadline=None)
@given(st.permutations("f(a)(b,c)"), st.permutations("f(a)(b,c)"))
def test_no_two_orders_of_brackets_have_a_common_form(one, other):
    one, other = "".join(one), "".join(other)
    assume(one != other)

    assert not form_in_common(f"Evaluate {one}", f"Evaluate {other}")


PASTED = st.sampled_from(("{}", "What does this print?\n{}", "Fix\n```\n{}\n```"))
SNIPPET = st.lists(st.integers(0, 3), min_size=2, max_size=5)


@examples(max_examples=60, deadline=None)
@given(
    SNIPPET, st.data(), st.sampled_from(("{}", "What does this print?\n{}", "Fix\n```\n{}\n```"))
)
def test_no_two_indentations_of_one_snippet_share_an_answer(indents, data, asked):
    others = data.draw(st.lists(st.integers(0, 3), min_size=len(indents), max_size=len(indents)))
    lines = ("if a:", "b()", "while c:", "d()", "e()")
    one, other = (
        asked.format("if z:\n" + "\n".join("    " * by + line for by, line in zip(deep, lines)))  # noqa: B905 - fewer indents
        for deep in (indents, others)
    )
    assume(one != other)

    assert not form_in_common(one, other)
    assert not served(one, other)


PROSE = st.lists(
    st.sampled_from(("how", "do", "i", "reset", "the", "router", "at", "home", "twice", "today")),
    min_size=3, max_size=8,
).filter(lambda words: words[0] != "i")  # fmt: skip
SIGNS = st.sampled_from([*'()[]{}<>=+*/%^~#@&|"`_$€²½😀\n\t\u200b', " - 5", "'", "x'", " !"])


@examples(max_examples=100, deadline=None)
@given(PROSE, SIGNS, st.data())
def test_a_sign_inside_a_question_is_never_taken_for_harmless(words, sign, data):
    place = data.draw(st.integers(1, len(words) - 1))
    plain = " ".join(words)
    signed = " ".join(words[:place]) + f" {sign} " + " ".join(words[place:])

    assert sign.isspace() or not form_in_common(plain, signed)
    assert form_in_common(plain, f"{plain.capitalize()}?")


@examples(max_examples=100, deadline=None)
@given(PROSE, st.data())
def test_a_capital_inside_a_question_parts_forms(words, data):
    place = data.draw(st.integers(1, len(words) - 1))
    named = [word.title() if n == place else word for n, word in enumerate(words)]
    assume(words[place] != "i")

    assert not form_in_common(" ".join(words), " ".join(named))

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.compress import Options, Turn, compress, protected_spans
from gateway.compress.blocks import split_blocks
from gateway.compress.packing import pack_json
from gateway.compress.sentences import join_sentences, split_sentences
from gateway.tokens import Calibration, count

PIECES = st.sampled_from(
    [
        "Hello there! ",
        "Please note that the valve is closed. ",
        "The valve is closed. ",
        "It is not safe above 80 °C. ",
        "Call `reset()` in app/main.py, then see https://example.org/a?b=1. ",
        "Write to {{name}} and ${HOME}. ",
        'She said "never again" to Ada Lovelace. ',
        "I hope this helps!\n\n\n\n",
        "In order to start, turn the key.   ",
        "```python\nx  =  1\n```\n",
        '\n[{"a": 1.50,\n "b": "x  y"},\n {"a": 2, "b": null},\n {"a": 3, "b": []}]\n',
        "    indented = code\n",
        "[not json",
        "\r\n",
        "----------------\n",
    ]
)
PROMPTS = st.lists(PIECES | st.text(max_size=30), max_size=14).map("".join)
TURNS = st.lists(
    st.builds(Turn, st.sampled_from(["system", "user", "assistant"]), PROMPTS), max_size=4
)
BUDGETS = st.none() | st.integers(0, 60)


def letters(text):
    return count(text, "gpt-4o").tokens


def spans_of(turns):
    return frozenset().union(*(protected_spans(turn.text) for turn in turns))


@given(TURNS, BUDGETS)
@settings(max_examples=100, deadline=None)
def test_the_output_of_a_compression_stays_as_it_is(turns, budget):
    once = compress(turns, letters, Options(budget=budget))

    assert compress(once.turns, letters, Options(budget=budget)).turns == once.turns


@given(TURNS, BUDGETS)
@settings(max_examples=100, deadline=None)
def test_turns_keep_their_roles_and_never_get_longer(turns, budget):
    shorter = compress(turns, letters, Options(budget=budget))

    assert [turn.role for turn in shorter.turns] == [turn.role for turn in turns]
    assert shorter.after == sum(letters(turn.text) for turn in shorter.turns) <= shorter.before


@given(st.lists(PIECES, max_size=14).map("".join), BUDGETS)
@settings(max_examples=100, deadline=None)
def test_every_protected_span_is_kept_with_any_budget(prompt, budget):
    turns = [Turn("user", prompt), Turn("assistant", "Yes."), Turn("user", "Is the valve safe?")]

    kept = "".join(turn.text for turn in compress(turns, letters, Options(budget=budget)).turns)

    for span in spans_of(turns):
        assert "".join(span.split()) in "".join(kept.split())


@given(PROMPTS)
@settings(max_examples=100, deadline=None)
def test_blocks_and_sentences_joined_are_the_text(text):
    assert "".join(block.text for block in split_blocks(text)) == text
    assert join_sentences(split_sentences(text)) == text


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


def unpacked(value):
    """The rows of every packed table as objects again."""
    if isinstance(value, dict):
        if set(value) == {"columns", "rows"} and isinstance(value["columns"], list):
            return [
                dict(zip(value["columns"], map(unpacked, row), strict=True))
                for row in value["rows"]
            ]
        return {key: unpacked(item) for key, item in value.items()}
    return [unpacked(item) for item in value] if isinstance(value, list) else value


@given(JSONS)
@settings(max_examples=100, deadline=None)
def test_packed_json_says_the_same(value):
    assert unpacked(json.loads(pack_json(json.dumps(value, indent=2)))) == value


def test_numbers_in_json_keep_their_digits():
    assert pack_json('{"price":  1.50, "big": 1e3}') == '{"price":1.50,"big":1e3}'


def test_a_sentence_of_two_passages_is_said_once():
    shared = "The pump is serviced every spring by the supplier of the plant."
    turns = [Turn("user", f"{shared} It has two valves.\n\n{shared} It is painted green.")]

    (turn,) = compress(turns, letters).turns

    assert turn.text.count("serviced every spring") == 1
    assert "two valves" in turn.text
    assert "painted green" in turn.text


def test_sentences_that_differ_in_a_number_are_both_kept():
    text = "The tank in the north hall holds 40 litres. The tank in the north hall holds 60 litres."

    assert compress([Turn("user", text)], letters).turns[0].text == text


def test_with_a_budget_the_least_relevant_sentences_go_first():
    passages = "Bread is baked at dawn. Ferries leave from the old harbour. Cats sleep all day."
    question = Turn("user", "Where do ferries leave?")
    turns = [Turn("user", passages), Turn("assistant", "Yes?"), question]

    shorter = compress(turns, letters, Options(budget=20))

    assert shorter.within_budget
    assert shorter.turns[0].text.strip() == "Ferries leave from the old harbour."


def test_a_budget_that_protected_spans_exceed_is_not_met_and_says_so():
    turns = [Turn("user", "Keep 1 and 2 and 3."), Turn("assistant", "Yes."), Turn("user", "Why?")]

    shorter = compress(turns, letters, Options(budget=3))

    assert not shorter.within_budget
    assert "1 and 2 and 3" in shorter.turns[0].text


def test_the_examples_that_fit_the_question_are_kept():
    text = "".join(
        f"Q: How is {food} made?\nA: With {tool}.\n"
        for food, tool in (("bread", "an oven"), ("cheese", "milk"), ("juice", "a press"))
    )
    turns = [Turn("system", text), Turn("user", "How is cheese from goats made?")]

    shorter = compress(turns, letters, Options(examples=1))

    assert shorter.turns[0].text.strip() == "Q: How is cheese made?\nA: With milk."


def test_known_vocabularies_are_counted_and_others_estimated_and_calibrated():
    text = "The quick brown fox jumps over the lazy dog."
    exact, guessed = count(text, "openai/gpt-4o-mini"), count(text, "some-model")

    assert (exact.tokens, exact.exact) == (10, True)
    assert not guessed.exact
    assert guessed.tokens == pytest.approx(exact.tokens, rel=0.2)
    learned = Calibration().learned(guessed.tokens, 2 * guessed.tokens)
    assert count(text, "some-model", learned).tokens == 2 * guessed.tokens

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
        "Is the valve closed now?",
        "Answer in this format:\n",
        '{"b":  [1, 2]}\n',
    ]
)
PROMPTS = st.lists(PIECES | st.text(max_size=30), max_size=14).map("".join)
TURNS = st.lists(
    st.builds(
        Turn, st.sampled_from(["system", "developer", "user", "assistant"]), PROMPTS, st.booleans()
    ),
    max_size=5,
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


@given(TURNS, BUDGETS)
@settings(max_examples=100, deadline=None)
def test_no_turn_is_emptied_and_no_pinned_one_is_touched(turns, budget):
    shorter = compress(turns, letters, Options(budget=budget)).turns

    for before, after in zip(turns, shorter, strict=True):
        assert bool(after.text.strip()) == bool(before.text.strip())
        assert after.text == before.text or not before.pinned


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


QUESTION = "Where do the ferries to the islands leave from today?"
HARBOUR = "The ferries to the islands leave from the old harbour."


def chat(*lines):
    roles = ("user", "assistant") * len(lines)
    return [Turn(role, line) for role, line in zip(roles, lines, strict=False)]


def test_a_question_that_is_asked_again_is_asked_again():
    turns = chat(QUESTION, HARBOUR, "Thanks!", "You're welcome!", QUESTION)

    shorter = compress(turns, letters, Options(budget=0)).turns

    assert shorter[-1].text == QUESTION


def test_a_question_before_and_after_what_it_is_about_stays_at_both_ends():
    instruction = "List the ferries that are named below in French."
    text = f"{instruction}\n\n{HARBOUR} It is windy.\n\n{HARBOUR} It rains.\n\n{instruction}"

    (turn,) = compress([Turn("user", text)], letters).turns

    assert turn.text.startswith(instruction)
    assert turn.text.endswith(instruction)
    assert turn.text.count("old harbour") == 1


def test_what_a_turn_repeats_of_itself_is_said_once_and_its_question_always():
    text = f"{QUESTION}\n\n{HARBOUR} It is windy.\n\n{HARBOUR} It rains.\n\n{QUESTION} Please."

    (turn,) = compress([Turn("user", text)], letters).turns

    assert turn.text.count(QUESTION) == 2
    assert turn.text.count("old harbour") == 1


@pytest.mark.parametrize("role", ["system", "developer"])
def test_instructions_keep_every_sentence_whatever_the_budget(role):
    rules = "Be brief. I hope this helps. Be polite to people. Be brief. Be polite to people."
    turns = [Turn(role, rules), *chat("Hello there!", "Hi.", "Is it so?")]

    assert compress(turns, letters, Options(budget=0)).turns[0].text == rules


def test_a_turn_of_which_a_budget_leaves_nothing_says_that_something_was_there():
    turns = chat("Cats sleep all day and dogs do so as well.", "Yes they do.", "Ok.", QUESTION)

    shorter = compress(turns, letters, Options(budget=0)).turns

    assert [turn.text for turn in shorter] == ["…", "…", "Ok.", QUESTION]


ROWS = [{"name": "a", "size": 1}, {"name": "b", "size": 2}, {"name": "c", "size": 3}]
SHOWN = json.dumps(ROWS, indent=2) + "\n"


@pytest.mark.parametrize(
    ("role", "text", "kept"),
    [
        ("system", f"You extract names.\n{SHOWN}", True),
        ("developer", f"The tool said:\n{SHOWN}", True),
        ("user", f"Answer in this format:\n\n{SHOWN}\nList the boats.", True),
        ("user", f"Input: three boats\nOutput:\n{SHOWN}\nInput: two boats", True),
        ("user", f"{SHOWN}\nSort these and keep the same format.", True),
        ("user", f"The tool answered:\n\n{SHOWN}\nWhich is the largest?", False),
        ("user", SHOWN, False),
    ],
)
def test_json_that_shows_how_to_write_is_kept_and_json_that_tells_is_packed(role, text, kept):
    (turn,) = compress([Turn(role, text)], letters).turns

    assert (SHOWN in turn.text) is kept
    assert ("columns" in turn.text) is not kept


def test_code_beside_sentences_that_go_stays_as_it_is():
    code = "```python\nx  =  1   # two\n\n\n\ny = 2\n```\n"
    turns = chat(f"Cats sleep all day.\n{code}Dogs bark.", "Ok.", "What is the code for?")

    shorter = compress(turns, letters, Options(budget=0)).turns

    assert code in shorter[0].text
    assert "Cats" not in shorter[0].text


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

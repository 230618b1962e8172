"""Exact, normalised and similar hits; what is not served, and what is not kept."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from gateway.cache.decision import Candidate, Record, judge, threshold_of
from gateway.cache.normalised import normalised
from gateway.cache.policy import CachePolicy
from gateway.embedder import MINILM
from gateway.request import HitLevel, Message
from gateway.strictness import Strictness
from tests.gateway.cache.conftest import Bench, answer, request

pytestmark = pytest.mark.valkey
RESET = "How do I reset my router?"
REWORDED = "What is the way to reset my router?"


@pytest.fixture
def bench(valkey):
    made = Bench(valkey.url, embedder=MINILM)
    yield made
    made.client.close()


def test_every_answer_says_its_level_score_age_and_entry(bench):
    first = bench.ask(RESET)
    again = bench.ask(RESET)
    loose = bench.ask("hi, how do I reset my router please")
    other = bench.ask(REWORDED)

    assert first.hit_level is HitLevel.NONE
    assert [a.hit_level for a in (again, loose, other)] == ["exact", "normalised", "similar"]
    assert {a.entry for a in (again, loose, other)} == {first.entry}
    assert again.score == loose.score == 1.0
    assert bench.policy.threshold <= other.score < 1.0
    assert all(0 <= a.age_seconds < 60 for a in (again, loose, other))
    assert (again.text, again.saved_nanodollars, again.cost_nanodollars) == (first.text, 7_000, 0)
    assert bench.called == [RESET]


def test_another_worker_finds_what_this_one_stored_in_its_next_lookup(bench):
    other = bench.worker()
    bench.ask("Where is the office in Lyon?", worker=other)  # it has loaded the scope
    bench.ask(RESET)

    found = bench.ask(REWORDED, worker=other)

    assert found.hit_level is HitLevel.SIMILAR


@pytest.mark.parametrize(
    "trap",
    [
        "How do I not reset my router?",
        "How do I reset my 2 routers?",
        "What is 3 < 5?",
        "C# or C++?",
    ],
)
def test_a_question_with_another_answer_is_not_served(bench, trap):
    for stored in (RESET, "What is 3 > 5?", "C or C++?", "How do I reset my 3 routers?"):
        bench.ask(stored)

    assert bench.ask(trap).hit_level is HitLevel.NONE


@pytest.mark.parametrize(
    ("change", "question"),
    [
        ({"temperature": 0.9}, REWORDED),
        ({"policy": CachePolicy(strictness=Strictness.EXACT)}, REWORDED),
        ({"policy": CachePolicy(strictness=Strictness.EXACT)}, f"{RESET} Please?"),
        ({"policy": CachePolicy(enabled=False)}, RESET),
        ({"tenant": "2"}, RESET),
        ({"messages": (Message("system", "be rude"), Message("user", RESET))}, RESET),
    ],
)
def test_no_hit_outside_the_scope_or_against_the_policy(bench, change, question):
    bench.ask(RESET, **{k: v for k, v in change.items() if k == "temperature"})

    assert bench.ask(question, **change).hit_level is HitLevel.NONE


def test_variety_may_be_renounced_by_policy(bench):
    policy = replace(bench.policy, similar_at_any_temperature=True)
    bench.ask(RESET, temperature=0.9, policy=policy)

    assert bench.ask(REWORDED, temperature=0.9, policy=policy).hit_level is HitLevel.SIMILAR


def test_shadow_mode_serves_nothing_and_lists_what_it_would_have(bench):
    shadow = replace(bench.policy, shadow=True)
    bench.ask(RESET)

    answers = [bench.ask(question, policy=shadow) for question in (RESET, REWORDED)]

    assert all(a.hit_level is HitLevel.NONE for a in answers)
    would = bench.cache.find(request(REWORDED), shadow).would_be
    assert would in {"exact", "similar"}


@pytest.mark.parametrize(
    ("why", "made"),
    [
        ("truncated", answer(finish_reason="length")),
        ("error", answer(finish_reason="error")),
        ("content_filter", answer(finish_reason="content_filter")),
        ("tool_calls", answer(finish_reason="tool_calls", tool_calls=({"id": "1"},))),
        ("tool_calls", answer(tool_calls=({"id": "1"},))),
        ("empty", answer("  \n")),
        ("refusal", answer("I'm sorry, but I can't help with that request.")),
        ("refusal", answer("As an AI language model, I am unable to provide that.")),
        ("refusal", answer("I’m sorry, but I can’t assist with that.")),
        ("refusal", answer("Es tut mir leid, aber dabei kann ich nicht helfen.")),
        ("refusal", answer("Je suis désolé, je ne peux pas répondre à cette demande.")),
        ("refusal", answer("Lo siento, pero no puedo ayudarte con eso.")),
        ("refusal", answer("Let us talk of something else.", refused=True)),
        ("explored", answer(route=SimpleNamespace(explored=True))),
        ("not_text", answer("\ud800")),
        ("size", answer("x" * 2_000_000)),
    ],
)
def test_answers_that_must_not_be_given_again_are_not_kept(bench, why, made):
    found = bench.cache.find(request(RESET), bench.policy)

    assert bench.cache.keep(found.ticket, made, bench.policy).why == why
    assert bench.cache.find(request(RESET), bench.policy).answer is None


def test_what_is_not_text_or_json_beside_the_question_harms_nobody(bench):
    odd = {"metadata": {"object": object()}, "options": {"seed": object()}}

    assert bench.ask("plain", metadata=odd["metadata"]).entry
    assert bench.ask("odd", options=odd["options"]).entry is None
    found = bench.cache.find(request("odd \ud800 question"), bench.policy)
    assert bench.cache.keep(found.ticket, answer(model="\ud800"), bench.policy).entry


@pytest.mark.parametrize(
    "regret",
    [
        "Unfortunately the museum is closed on Mondays.",
        "Leider ist das Museum montags geschlossen.",
        "Malheureusement, le musée est fermé le lundi.",
        "Lamentablemente el museo está cerrado los lunes.",
        "You cannot share a ticket.",
    ],
)
def test_an_answer_that_begins_with_regret_but_answers_is_kept(bench, regret):
    found = bench.cache.find(request("Is it open?"), bench.policy)

    assert bench.cache.keep(found.ticket, answer(regret), bench.policy).entry


def test_a_text_has_a_normal_form_only_as_a_whole():
    assert normalised("x " * 5_000) is None
    assert normalised("?!") is None


def test_long_questions_with_a_common_beginning_are_not_confused(bench):
    long = "word " * 2_000

    bench.ask(long + "one")

    assert bench.ask(long + "two").hit_level is HitLevel.NONE
    assert bench.ask(long + "one").hit_level is HitLevel.EXACT


def test_a_threshold_rises_with_bad_reports_and_falls_again_with_good_ones():
    wanted = 0.66
    one = threshold_of(Record(bad=1, worst=0.7), wanted)
    trusted = threshold_of(Record(good=50, bad=1, worst=0.7), wanted)

    assert threshold_of(Record(), wanted) == threshold_of(Record(good=9), wanted) == wanted
    assert one > trusted > 0.7
    assert threshold_of(Record(bad=1, worst=1.0), wanted) > 1


def test_a_veto_holds_whatever_the_score_is():
    verdict = judge("Is 5 > 3?", Candidate("t0", "Is 5 < 3?", 1.0), 0.0)

    assert "operator" in verdict.vetoes
    assert not verdict.serves

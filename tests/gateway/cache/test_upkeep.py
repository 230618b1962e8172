"""Invalidation, feedback, eviction, time to live, warming, statistics: entries over their life."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from gateway.cache import feedback, invalidation, warming
from gateway.cache.connection import Away, Connection
from gateway.cache.explaining import explain
from gateway.cache.keys import Partition
from gateway.cache.response_cache import ResponseCache
from gateway.cache.statistics import shadowed, statistics
from gateway.embedder import Hashing
from gateway.request import HitLevel, Message
from tests.gateway.cache.conftest import answer, request

pytestmark = pytest.mark.valkey
QUESTION = "How do I reset my router at home?"
SIMILAR = "How do I reset the router at home?"


@pytest.fixture
def stored(bench):
    """An entry's id."""
    return bench.ask(QUESTION, tags=("router", "home")).entry


def hit(bench, worker=None, **fields):
    fields = {"tags": ("router", "home"), **fields}
    cache = worker or bench.cache
    return cache.find(request(fields.pop("question", QUESTION), **fields), bench.policy).answer


@pytest.mark.parametrize("how", ["tag", "entry", "scope", "tenant"])
def test_what_one_worker_invalidates_no_other_serves_any_more(bench, stored, how):
    other = bench.worker()
    assert hit(bench, other)
    scope = bench.cache.place(request(QUESTION, tags=("router", "home")), bench.policy).scope

    match how:
        case "tag":
            invalidation.invalidate_tags(bench.cache.connection, bench.partition, ["home"])
        case "entry":
            invalidation.invalidate_entry(bench.cache.connection, bench.partition, stored)
        case "scope":
            invalidation.invalidate_scope(bench.cache.connection, bench.partition, scope)
        case "tenant":
            invalidation.invalidate_all(bench.cache.connection, bench.partition)

    for question in (QUESTION, SIMILAR):
        assert hit(bench, other, question=question) is None
        assert hit(bench, question=question) is None
    bench.ask(QUESTION, tags=("router", "home"))  # and what is stored from now on is served
    assert hit(bench, other)


def test_only_what_was_named_is_invalidated(bench, stored):
    connection, own = bench.cache.connection, bench.partition
    theirs = Partition("2", bench.prefix)

    invalidation.invalidate_tags(connection, own, ["rout"])
    invalidation.invalidate_all(connection, theirs)
    for missing in ("t" + "0" * 24, "nonsense", "s" + stored[1:]):
        with pytest.raises(invalidation.Unknown):
            invalidation.invalidate_entry(connection, own, missing)
    with pytest.raises(invalidation.Unknown):
        invalidation.invalidate_entry(connection, theirs, stored)
    with pytest.raises(invalidation.Unknown, match="64 hexadecimal"):
        invalidation.invalidate_scope(connection, own, "*")

    assert hit(bench).entry == stored


def test_an_answer_asked_for_before_an_invalidation_is_not_stored_after_it(bench):
    found = bench.cache.find(request(QUESTION, tags=("home",)), bench.policy)
    invalidation.invalidate_tags(bench.cache.connection, bench.partition, ["home"])

    assert bench.cache.keep(found.ticket, answer(), bench.policy).why == "void"
    assert hit(bench, tags=("home",)) is None


def test_an_answer_asked_for_before_a_flush_is_not_stored_after_it(bench, stored):
    found = bench.cache.find(request("another"), bench.policy)
    for key in bench.client.scan_iter(f"{bench.prefix}:*"):
        bench.client.delete(key)

    assert bench.cache.keep(found.ticket, answer(), bench.policy).why == "flushed"


@pytest.mark.parametrize("question", [QUESTION, f"hi, {QUESTION.lower()} thanks", SIMILAR])
def test_an_entry_that_cannot_be_read_is_a_miss_whose_answer_takes_its_place(
    bench, stored, question
):
    bench.client.hset(f"{bench.partition.root}e:{stored}", "answer", '{"text": 1}')

    found = bench.cache.find(request(question, tags=("router", "home")), bench.policy)

    assert found.answer is None
    assert bench.cache.keep(found.ticket, answer("anew"), bench.policy).entry
    assert hit(bench, question=question).text == "anew"
    counted = statistics(bench.cache.connection, bench.partition)
    assert (counted.requests, counted.misses) == (3, 2)
    assert sum(counted.hits.values()) == 1 + (question == SIMILAR)


def test_an_older_answer_does_not_replace_a_newer_one(bench):
    slow = bench.cache.find(request(QUESTION), bench.policy).ticket
    quick = bench.cache.find(request(QUESTION), bench.policy).ticket

    newer = bench.cache.keep(quick, answer("newer"), bench.policy)

    assert bench.cache.keep(slow, answer("older"), bench.policy).why == "older"
    assert bench.ask(QUESTION).entry == newer.entry


def test_many_invalidations_are_remembered_in_bounded_space(bench, stored, monkeypatch):
    monkeypatch.setattr(invalidation, "MOST_REMEMBERED", 20)
    for number in range(30):
        invalidation.invalidate_tags(bench.cache.connection, bench.partition, [f"tag-{number}"])

    assert bench.client.hlen(f"{bench.partition.root}void") <= 20
    assert hit(bench) is None  # what cannot be remembered is not served


def reported(bench, entry, own=None, **said):
    judgement = feedback.Judgement(**said)
    return feedback.report(bench.cache.connection, own or bench.partition, entry, judgement)


# --- feedback -------------------------------------------------------------------------------
def test_a_bad_report_raises_the_entrys_own_threshold_and_the_second_quarantines_it(bench, stored):
    served = hit(bench, question=SIMILAR)
    assert served.hit_level is HitLevel.SIMILAR

    once = reported(bench, stored, ok=False, question=SIMILAR)
    assert once.record.worst == pytest.approx(served.score, abs=1e-5)
    assert hit(bench, question=SIMILAR) is None
    assert hit(bench).hit_level is HitLevel.EXACT

    twice = reported(bench, stored, ok=False)
    assert (once.quarantined, twice.quarantined) == (False, True)
    assert hit(bench) is None
    assert hit(bench, bench.worker()) is None
    assert bench.ask(QUESTION, tags=("router", "home")).entry != stored
    assert hit(bench).entry != stored


def test_a_report_that_says_what_was_asked_becomes_a_labelled_pair(bench, stored):
    hit(bench, question=SIMILAR)
    hit(bench, question="How do I reset my router at home please?")
    reported(bench, stored, ok=True, question=SIMILAR)

    (pair,) = feedback.reported_pairs(bench.cache.connection, bench.partition)

    assert (pair["a"], pair["b"], pair["same_answer"]) == (SIMILAR, QUESTION, True)


def test_a_report_about_another_call_is_no_pair(bench, stored):
    hit(bench, question=SIMILAR)
    hit(bench)
    reported(bench, stored, ok=True, question=QUESTION)  # an exact hit
    reported(bench, stored, ok=True, question="Never asked?")
    standing = reported(bench, stored, ok=False)

    assert feedback.reported_pairs(bench.cache.connection, bench.partition) == []
    assert (standing.record.good, standing.record.bad, standing.record.worst) == (2, 1, 0.0)


def test_an_entry_remembers_a_bounded_number_of_questions(bench, stored):
    for number in range(40):
        judged = replace(bench.cache.find(
            request(SIMILAR, tags=("router", "home")), replace(bench.policy, shadow=True)
        ).verdict)  # fmt: skip
        place = bench.cache.place(request(QUESTION, tags=("router", "home")), bench.policy)
        bench.cache.similar.serve(place, f"{SIMILAR} {number}", judged)

    assert len(bench.entry(stored)[b"asked"].split()) == 2 * 16
    reported(bench, stored, ok=True, question=f"{SIMILAR} 39")
    assert len(feedback.reported_pairs(bench.cache.connection, bench.partition)) == 1


def test_another_tenant_cannot_report_an_entry_and_everybody_a_shared_one(bench, stored):
    shared = bench.ask("shared", visibility="global").entry
    theirs = Partition("2", bench.prefix)

    with pytest.raises(invalidation.Unknown):
        reported(bench, stored, theirs, ok=False)
    assert reported(bench, shared, theirs, ok=False).record.bad == 1


# --- time and room --------------------------------------------------------------------------
def test_a_life_is_absolute_unless_the_policy_lets_it_slide(bench):
    for sliding in (False, True):
        policy = replace(bench.policy, ttl_s=100.0, sliding=sliding)
        question = f"sliding {sliding}"
        entry = bench.ask(question, policy=policy).entry
        key = f"{bench.partition.root}e:{entry}"
        bench.client.pexpire(key, 5_000)

        bench.ask(question, policy=policy)

        assert (bench.client.pttl(key) > 5_000) is sliding


def test_what_has_expired_is_gone_and_counted_out(bench):
    bench.ask(QUESTION, policy=replace(bench.policy, ttl_s=0.05))
    time.sleep(0.06)  # the server's clock decides, and there is nothing to wait for

    assert hit(bench, tags=()) is None
    bench.ask("another")
    assert bench.size() == 1


def test_a_budget_is_kept_by_evicting_what_saved_least_for_its_bytes(bench):
    policy = replace(bench.policy, budget_bytes=30_000)
    dear = bench.cache.find(request("dear"), policy)
    bench.cache.keep(dear.ticket, answer("x" * 500, cost_nanodollars=10**9), policy)
    for number in range(60):
        bench.ask(f"cheap question number {number}", policy=policy)
        if number % 5 == 0:
            bench.ask("cheap question number 0", policy=policy)

    held = int(bench.client.hget(f"{bench.partition.root}meta", "bytes"))
    sizes = bench.client.hvals(f"{bench.partition.root}sizes")
    assert held == sum(int(size.split(b":")[0]) for size in sizes) <= 30_000
    assert bench.ask("dear", policy=policy).hit_level is HitLevel.EXACT
    assert bench.ask("cheap question number 0", policy=policy).hit_level is HitLevel.EXACT
    assert bench.ask("cheap question number 1", policy=policy).hit_level is HitLevel.NONE
    assert statistics(bench.cache.connection, bench.partition).evicted > 0


def test_a_tenant_with_little_room_evicts_nothing_that_is_shared(bench):
    mean = replace(bench.policy, budget_bytes=0)
    for number in range(20):
        bench.ask(f"shared question number {number}", visibility="global")

    bench.ask("one more", visibility="global", tenant="2", policy=mean)

    shared = f"{Partition('', bench.prefix).root}sizes"
    assert bench.client.hlen(shared) == 21
    small = replace(bench.policy, shared_budget_bytes=5_000)
    bench.ask("too many", visibility="global", policy=small)
    assert bench.client.hlen(shared) < 10  # the platform's own budget holds


def test_evicted_entries_leave_nothing_behind(bench):
    policy = replace(bench.policy, budget_bytes=10_000)
    for number in range(40):
        bench.ask(f"question number {number} about {number * 7}", policy=policy)
    invalidation.invalidate_all(bench.cache.connection, bench.partition)

    left = {key.decode().removeprefix(bench.partition.root).split(":")[0]
            for key in bench.client.scan_iter(f"{bench.prefix}:*")}  # fmt: skip
    assert left <= {"meta", "void", "c", "missed"}
    assert bench.client.hget(f"{bench.partition.root}meta", "bytes") == b"0"


# --- warming --------------------------------------------------------------------------------
def lines(*made):
    return [warming.prepared(line, "1") for line in made]


def test_warmed_answers_are_served_and_refused_ones_are_told(bench):
    found = warming.warm(
        bench.cache,
        lines(
            {"prompt": QUESTION, "answer": "Hold the button.", "tags": ["router"]},
            {"prompt": "Open?", "answer": "From nine.", "system": "be brief", "locale": "en"},
            {"prompt": "Help?", "answer": "I'm sorry, I can't help with that."},
        ),
        lambda _request: bench.policy,
    )

    assert (found.stored, found.refused) == (2, {"refusal": 1})
    assert hit(bench, tags=("router",)).text == "Hold the button."
    assert hit(bench, tags=("router",), question=SIMILAR).hit_level is HitLevel.SIMILAR
    brief = (Message("system", "be brief"), Message("user", "Open?"))
    assert hit(bench, tags=(), messages=brief, locale="en").text == "From nine."
    assert hit(bench, tags=(), question="Open?") is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ([], "not a JSON object"),
        ({"prompt": "a"}, "answer is not a text"),
        ({"prompt": "a", "answer": "b", "colour": "red"}, "colour is not known"),
        ({"prompt": "a", "answer": "b", "tags": "x"}, "tags is not a list"),
        ({"prompt": "a", "answer": "b", "visibility": "user"}, "visibility"),
        ({"prompt": "a", "answer": "b", "cost_nanodollars": -1}, "cost_nanodollars"),
    ],
)
def test_a_line_that_cannot_be_stored_is_told(line, said):
    with pytest.raises((TypeError, ValueError), match=said):
        warming.prepared(line, "1")


def test_what_was_missed_is_ranked_by_what_an_answer_would_have_saved(bench):
    for question, times in (("often asked", 5), ("seldom asked", 1), (QUESTION, 3)):
        for _ in range(times):
            bench.cache.find(request(question, locale="en"), bench.policy)
    bench.cache.find(request("of one user", visibility="user", user="7"), bench.policy)

    def missed(most=10):
        found = warming.recent_misses(bench.cache.connection, bench.partition, most)
        return [each.question for each in found]

    assert missed() == ["often asked", QUESTION, "seldom asked"]
    for question, cost in (("seldom asked", 90_000), ("often asked", 10_000)):
        asked = bench.cache.find(request(question, locale="en"), bench.policy)
        bench.cache.keep(asked.ticket, answer(cost_nanodollars=cost), bench.policy)
    assert missed() == ["seldom asked", QUESTION, "often asked"]  # 2 * 90, 3 * 50, 6 * 10
    assert missed(1) == ["seldom asked"]


# --- what people ask ------------------------------------------------------------------------
def test_statistics_count_by_level_and_explain_says_why(bench, stored):
    shadow = replace(bench.policy, shadow=True)
    hit(bench)
    hit(bench, question=SIMILAR)
    bench.cache.find(request(SIMILAR, tags=("router", "home")), shadow)

    found = statistics(bench.cache.connection, bench.partition)
    assert (found.requests, found.misses, found.stored, found.entries) == (4, 2, 1, 1)
    assert (found.hits["exact"], found.hits["similar"]) == (1, 1)
    assert found.saved_nanodollars == 2 * 7_000
    assert found.shadow == {"similar": 1}
    assert shadowed(bench.cache.connection, bench.partition)[0]["entry"] == stored
    told = explain(bench.cache, request(SIMILAR, tags=("router", "home")), bench.policy)
    assert (told.level, told.entry, told.in_scope) == ("similar", stored, 1)
    assert told.as_dict()["verdicts"][0]["vetoes"] == []
    assert statistics(bench.cache.connection, bench.partition).requests == 4


def test_a_large_scope_is_loaded_beside_its_first_lookup_and_followed_after_it(bench):
    some = [{"prompt": f"what is item {n} of list {n * 3}", "answer": "x"} for n in range(2_200)]
    warming.warm(bench.cache, lines(*some), lambda _request: bench.policy)
    late = bench.worker()
    late.find(request("something else"), bench.policy)
    deadline = time.monotonic() + 20
    while late.journal.rows < 2_200:
        assert time.monotonic() < deadline
        time.sleep(0.01)

    bench.ask(QUESTION)

    assert hit(bench, late, tags=(), question=SIMILAR).hit_level is HitLevel.SIMILAR
    invalidation.invalidate_all(bench.cache.connection, bench.partition)
    bench.ask(QUESTION)
    late.find(request("something else again"), bench.policy)
    assert late.journal.rows == 1  # what is gone is not kept for ever


def test_without_a_server_there_are_only_misses(bench):
    alone = ResponseCache(Connection(None), Hashing())

    assert bench.ask(QUESTION, worker=alone).hit_level is HitLevel.NONE
    assert bench.ask(QUESTION, worker=alone).hit_level is HitLevel.NONE
    with pytest.raises(Away):
        statistics(alone.connection, bench.partition)

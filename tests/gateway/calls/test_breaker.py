"""The breaker: the state machine, its twin in Redis, and what it does to calls."""

from __future__ import annotations

import time
import uuid
from dataclasses import astuple

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.breaker import Mode, Outcome, Rules, State, ask, tell
from gateway.breaker.shared import SCRIPT, Breakers
from gateway.cache.connection import Connection
from gateway.errors import NoModel, ProviderFailed, Unavailable
from tests.gateway.server import Turn, failing, limited, slow

RULES = Rules(
    window_ms=1_000, slices=4, least_calls=4, failure_percent=50, slow_percent=75, open_ms=500,
    trials=2, trial_ms=2_000,
)  # fmt: skip
NEW = State()
BAD, GOOD = Outcome.FAILED, Outcome.WELL


def after(*outcomes, state=NEW, now=0, step=1):
    """The state after calls with these outcomes, `step` ms apart."""
    for outcome in outcomes:
        state, permit = ask(state, RULES, now)
        assert permit.allowed
        state = tell(state, RULES, permit.epoch, outcome, now)
        now += step
    return state


def test_it_opens_when_half_of_enough_calls_failed():
    assert after(BAD, BAD, BAD).mode is Mode.CLOSED
    assert after(GOOD, GOOD, GOOD, BAD, BAD).mode is Mode.CLOSED
    assert after(GOOD, GOOD, BAD, BAD).mode is Mode.OPEN


def test_it_opens_when_most_calls_are_slow():
    assert after(*[Outcome.SLOW] * 3, GOOD).mode is Mode.OPEN
    assert after(*[Outcome.SLOW] * 2, GOOD, GOOD).mode is Mode.CLOSED


def test_what_left_the_window_does_not_count():
    assert after(BAD, BAD, BAD, BAD, step=400).mode is Mode.CLOSED


def test_dropped_calls_say_nothing():
    assert after(*[Outcome.DROPPED] * 20) == State()


def test_an_open_one_refuses_and_says_for_how_long():
    state = after(BAD, BAD, BAD, BAD)

    _, permit = ask(state, RULES, state.since_ms + 100)

    assert (permit.allowed, permit.retry_after_ms) == (False, 400)


def test_half_open_it_admits_as_many_trials_as_it_says_and_closes_when_they_pass():
    state = after(BAD, BAD, BAD, BAD)
    now = state.since_ms + 500
    state, first = ask(state, RULES, now)
    state, second = ask(state, RULES, now)
    state, third = ask(state, RULES, now)
    assert (first.allowed, second.allowed, third.allowed) == (True, True, False)

    state = tell(state, RULES, first.epoch, GOOD, now)
    assert state.mode is Mode.HALF_OPEN
    assert tell(state, RULES, second.epoch, GOOD, now).mode is Mode.CLOSED
    assert tell(state, RULES, second.epoch, BAD, now).mode is Mode.OPEN
    assert tell(state, RULES, second.epoch, Outcome.SLOW, now).mode is Mode.OPEN


def test_a_call_from_before_it_opened_says_nothing_about_a_trial():
    closed, old = ask(State(), RULES, 0)
    state = after(BAD, BAD, BAD, BAD, state=closed)
    state, _ = ask(state, RULES, state.since_ms + 500)

    assert tell(state, RULES, old.epoch, BAD, state.since_ms) == state


def test_trials_without_an_outcome_are_given_up():
    state = after(BAD, BAD, BAD, BAD)
    for _ in range(2):
        state, _ = ask(state, RULES, state.since_ms + 500)
    _, refused = ask(state, RULES, state.since_ms + 1_999)
    _, admitted = ask(state, RULES, state.since_ms + 2_000)

    assert (refused.allowed, admitted.allowed) == (False, True)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(0, 700)),
        st.tuples(st.just("ask"), st.just(0)),
        st.tuples(st.just("tell"), st.sampled_from(list(Outcome))),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(STEPS)
def test_the_script_does_what_the_machine_does(valkey, steps):
    # A clock of our own in the place of the server's.
    text = SCRIPT.text.replace("redis.call('TIME')", "{ARGV[5], ARGV[6]}")
    assert text != SCRIPT.text
    told, key = " ".join(map(str, astuple(RULES))), uuid.uuid4().hex
    with redis.Redis.from_url(valkey.url) as client:
        run = client.register_script(text)

        def script(verb, now, *words):
            words = (*words, "", "")[:2]
            return run([key], [verb, told, *words, now // 1000, now % 1000 * 1000])

        state, now, permits = State(), 1_000_000, []
        for verb, value in steps:
            if verb == "wait":
                now += value
            elif verb == "ask":
                state, permit = ask(state, RULES, now)
                assert script("ask", now) == [
                    int(permit.allowed), permit.epoch, permit.retry_after_ms
                ]  # fmt: skip
                if permit.allowed:
                    permits.append(permit)
            elif permits:
                epoch = permits.pop(0).epoch
                state = tell(state, RULES, epoch, value, now)
                assert script("tell", now, epoch, value.value).decode() == state.mode
        client.delete(key)


def test_processes_share_one_breaker(valkey):
    with redis.Redis.from_url(valkey.url) as client:
        prefix = uuid.uuid4().hex
        one, two = (Breakers(Connection(client, budget_s=10), RULES, prefix) for _ in range(2))
        for _ in range(4):
            one.tell("p", one.ask("p"), BAD)

        assert not two.ask("p").allowed
        assert two.resting() == {"p"}
        assert two.show(["p"])[0].mode is Mode.OPEN
        assert two.show(["p"])[0].shared


def test_without_redis_each_process_has_its_own():
    one, two = Breakers(Connection(None), RULES), Breakers(Connection(None), RULES)
    for _ in range(4):
        one.tell("p", one.ask("p"), BAD)

    assert not one.ask("p").allowed
    assert two.ask("p").allowed
    assert (one.show(["p"])[0].mode, one.show(["p"])[0].shared) == (Mode.OPEN, False)


# --- around calls -------------------------------------------------------------------------
@pytest.fixture
def impatient(gateway):
    """A gateway whose provider is asked once; its breaker opens after 4 calls, for 150 ms."""
    gateway.provider.retries = 0
    gateway.provider.save()
    return gateway


def trouble(gateway, count):
    for number in range(count):
        with pytest.raises((ProviderFailed, NoModel)):
            gateway.ask(f"Question {number}", temperature=1.0)


def test_a_failing_provider_is_left_alone_and_found_well_again(impatient):
    impatient.server.plan(then=failing())
    trouble(impatient, 4)
    called = impatient.server.calls
    trouble(impatient, 5)
    assert impatient.server.calls == called == 4
    impatient.server.plan()
    time.sleep(0.2)

    texts = [impatient.ask(f"Question {number}", temperature=1.0).text for number in range(3)]

    assert len(texts) == 3
    assert impatient.around.breakers.show(["main"])[0].mode is Mode.CLOSED
    assert impatient.spent == impatient.server.money


def test_an_open_breaker_says_when_to_come_back(impatient):
    impatient.server.plan(then=failing())
    impatient.around = impatient.surroundings(Rules(least_calls=2, open_ms=60_000))
    trouble(impatient, 2)
    impatient.around.breakers._resting.clear()  # another process has not been told

    with pytest.raises(Unavailable) as caught:
        impatient.ask("What is it?")

    assert caught.value.status == 503
    assert 50 < caught.value.retry_after <= 60


def test_slow_answers_open_it_as_well(impatient):
    impatient.around = impatient.surroundings(Rules(least_calls=2, slow_share=1, open_ms=60_000))
    impatient.server.plan(then=slow(0.12))  # a hundredth of the provider's 10 s

    for number in range(2):
        impatient.ask(f"Question {number}", temperature=1.0)

    assert impatient.around.breakers.show(["main"])[0].mode is Mode.OPEN


def test_what_the_caller_did_wrong_does_not_open_it(impatient):
    impatient.server.plan(then=failing(400))
    trouble(impatient, 8)

    assert impatient.server.calls == 8
    assert impatient.around.breakers.show(["main"])[0].mode is Mode.CLOSED


def test_a_provider_that_asks_to_wait_is_not_ill(impatient):
    impatient.server.plan(then=limited(0))
    trouble(impatient, 8)

    assert impatient.server.calls == 8
    assert impatient.around.breakers.show(["main"])[0].mode is Mode.CLOSED


def test_a_reader_that_takes_its_time_says_nothing_about_the_provider(impatient):
    impatient.around = impatient.surroundings(Rules(least_calls=2, slow_share=8, open_ms=60_000))

    for number in range(2):
        for _ in impatient.stream(f"Question {number}", temperature=1.0):
            time.sleep(0.1)  # longer in all than the 0.8 s that a provider may take

    shown = impatient.around.breakers.show(["main"])[0]
    assert (shown.mode, shown.calls, shown.slow) == (Mode.CLOSED, 2, 0)


def test_a_stream_whose_first_piece_comes_late_is_slow(impatient):
    impatient.around = impatient.surroundings(Rules(least_calls=2, slow_share=1, open_ms=60_000))
    impatient.server.plan(then=slow(0.15))

    for number in range(2):
        list(impatient.stream(f"Question {number}", temperature=1.0))

    assert impatient.around.breakers.show(["main"])[0].mode is Mode.OPEN


def test_a_stream_cut_for_its_readers_slowness_is_no_failure(impatient):
    impatient.provider.timeout_seconds = 0.5
    impatient.provider.save()
    impatient.server.plan(then=Turn(drip_s=0.02))

    def read_slowly(number):
        for _ in impatient.stream(f"Question {number}", temperature=1.0):
            time.sleep(0.15)

    for number in range(4):
        with pytest.raises(ProviderFailed):
            read_slowly(number)

    assert impatient.around.breakers.show(["main"])[0].failed == 0

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthchecks.monitor import BADNESS, State, step

OK, DEGRADED, FAILED, UNKNOWN = State.OK, State.DEGRADED, State.FAILED, State.UNKNOWN
measured = st.sampled_from([OK, DEGRADED, FAILED])
histories = st.lists(measured, max_size=30)
counts = st.integers(1, 6)


def walk(readings, rise, fall):
    """The states after each reading, as the rows would show them."""
    state, states = UNKNOWN, []
    for end in range(1, len(readings) + 1):
        turn = step(state, readings[:end], rise, fall)
        if turn is not None:
            assert turn.before is state
            state = turn.after
        states.append(state)
    return states


@given(state=measured, rise=counts, fall=counts)
def test_readings_equal_to_the_state_never_change_it(state, rise, fall):
    assert step(state, [state] * 10, rise, fall) is None


@given(readings=histories, rise=counts, fall=counts)
def test_a_flip_always_leads_to_another_and_measured_state(readings, rise, fall):
    states = [UNKNOWN, *walk(readings, rise, fall)]
    for before, after, turn in zip(states, states[1:], readings, strict=False):
        assert after is not UNKNOWN or before is UNKNOWN
        if after is not before:
            assert after in readings
            # A flip goes towards the reading that made it, and never beyond it.
            assert before is UNKNOWN or (BADNESS[after] > BADNESS[before]) == (
                BADNESS[turn] > BADNESS[before]
            )


@given(readings=histories, rise=counts, fall=counts)
def test_an_ok_check_stays_ok_while_fewer_than_fall_bad_readings_follow_each_other(
    readings, rise, fall
):
    longest = run = 0
    for reading in readings:
        run = run + 1 if reading is not OK else 0
        longest = max(longest, run)
    state = OK
    for end in range(1, len(readings) + 1):
        turn = step(state, readings[:end], rise, fall)
        if longest < fall:
            assert turn is None
        state = turn.after if turn else state


@given(before=measured, rise=counts, fall=counts, noise=histories)
def test_fall_failed_readings_in_a_row_end_in_failed_whatever_was_before(before, rise, fall, noise):
    turn = step(before, [*noise, *[FAILED] * fall], rise, fall)

    assert (turn.after if turn else before) is FAILED


@given(before=measured, rise=counts, fall=counts, noise=histories)
def test_rise_ok_readings_in_a_row_end_in_ok_whatever_was_before(before, rise, fall, noise):
    turn = step(before, [*noise, *[OK] * rise], rise, fall)

    assert (turn.after if turn else before) is OK


@given(readings=histories, rise=counts, fall=counts)
def test_only_the_last_readings_decide(readings, rise, fall):
    for state in (UNKNOWN, OK, DEGRADED, FAILED):
        whole = step(state, readings, rise, fall)
        tail = step(state, readings[-max(rise, fall) :], rise, fall)
        assert whole == tail


@pytest.mark.parametrize(
    ("state", "readings", "after"),
    [
        (UNKNOWN, [OK], OK),
        (UNKNOWN, [FAILED, FAILED], None),
        (UNKNOWN, [FAILED, DEGRADED, FAILED], DEGRADED),
        (OK, [FAILED, FAILED, FAILED], FAILED),
        (OK, [FAILED, DEGRADED, FAILED], DEGRADED),
        (OK, [FAILED, OK, FAILED, FAILED], None),
        (DEGRADED, [DEGRADED, FAILED, FAILED, FAILED], FAILED),
        (FAILED, [OK, DEGRADED], DEGRADED),
        (FAILED, [FAILED, OK], None),
        (FAILED, [OK, OK], OK),
    ],
)
def test_cases_written_out_for_rise_two_and_fall_three(state, readings, after):
    turn = step(state, readings, 2, 3)

    assert (turn.after if turn else None) is after


@pytest.mark.parametrize(("rise", "fall"), [(0, 1), (1, 0), (-1, 3)])
def test_rise_and_fall_below_one_are_refused(rise, fall):
    with pytest.raises(ValueError, match="at least 1"):
        step(OK, [FAILED], rise, fall)

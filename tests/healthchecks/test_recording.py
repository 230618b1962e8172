"""Readings and flips as rows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from healthchecks import recording, selectors
from healthchecks.definitions import COMMAND, create, delete, switch, update
from healthchecks.models import LONGEST_RUN, Flip, HealthCheck, Reading
from healthchecks.monitor import State
from healthchecks.probes.measurement import Measurement
from healthchecks.recording import Measured, prune, record
from healthchecks.spec import CheckSpec, spec_of

pytestmark = pytest.mark.django_db
OK, DEGRADED, FAILED = State.OK, State.DEGRADED, State.FAILED


@pytest.fixture
def check():
    return create(None, CheckSpec(name="cache", kind="tcp", target="cache.example:1"), COMMAND)


def measured(check, state, at=None):
    found = Measurement(state, f"it is {state}", 1.5, "ms")
    return Measured(check.pk, check.revision, at or timezone.now(), found, 2.0)


def take(check, *states):
    return [record(measured(check, state)) for state in states]


def test_every_measurement_is_a_reading_and_only_changes_are_flips(check):
    take(check, OK, OK, FAILED, OK, FAILED, FAILED, FAILED, FAILED, OK, OK)

    flips = [(flip.before, flip.after) for flip in Flip.objects.order_by("id")]
    assert Reading.objects.count() == 10
    assert flips == [("unknown", "ok"), ("ok", "failed"), ("failed", "ok")]
    assert "it is failed" in Flip.objects.get(after="failed").reason


def test_the_state_shown_is_that_of_the_last_flip_with_the_last_reading(check):
    take(check, OK, FAILED)

    shown = selectors.view_of(check)

    assert shown.state == "ok"
    assert shown.reading.state == "failed"


def test_a_check_without_a_recent_reading_is_shown_stale(check):
    take(check, OK)
    later = timezone.now() + timedelta(hours=1)

    assert selectors.views(HealthCheck.objects.all(), later)[0].state == selectors.STALE


def test_a_disabled_check_is_shown_paused_and_starts_anew_when_enabled(check):
    take(check, OK, FAILED, FAILED)

    off = switch(check, COMMAND, enabled=False)
    paused = selectors.view_of(off).state
    on = switch(off, COMMAND, enabled=True)

    assert paused == selectors.PAUSED
    assert selectors.view_of(on).state == "unknown"
    assert take(on, FAILED) == [None]  # the two from before the pause count no more


def test_another_target_makes_readings_count_anew_and_another_interval_does_not(check):
    take(check, OK)
    slower = update(check, CheckSpec(**columns(check, interval_seconds=60.0)), COMMAND)
    assert selectors.view_of(slower).state == "ok"

    moved = update(slower, CheckSpec(**columns(slower, target="other.example:1")), COMMAND)

    assert selectors.view_of(moved).state == "unknown"
    assert Flip.objects.first().reason.startswith("edited")


def columns(check, **changed):
    spec = spec_of(check)
    return {name: getattr(spec, name) for name in spec.__slots__} | changed


def test_what_was_measured_before_an_edit_or_a_deletion_is_dropped(check):
    late = measured(check, OK)
    update(check, CheckSpec(**columns(check, target="other.example:1")), COMMAND)

    assert record(late) is None
    delete(HealthCheck.objects.get(), COMMAND)
    assert record(late) is None
    assert Reading.objects.count() == 0


def test_a_message_of_any_length_and_content_can_be_stored(check):
    found = Measurement(FAILED, "\x00" + "x" * 5000)

    record(Measured(check.pk, check.revision, timezone.now(), found, 1.0))

    assert len(Reading.objects.get().message) == 500


def test_old_readings_go_and_those_the_state_is_derived_from_stay(check, monkeypatch):
    monkeypatch.setattr(recording, "PRUNE_BATCH", 7)
    old = timezone.now() - recording.KEEP_READINGS * 2
    for minute in range(LONGEST_RUN + 30):
        record(measured(check, OK, old + timedelta(minutes=minute)))

    gone = prune()

    assert gone == 30
    assert Reading.objects.count() == LONGEST_RUN
    assert prune() == 0


def test_readings_are_bounded_in_number_whatever_their_age(check, monkeypatch):
    monkeypatch.setattr(recording, "READINGS_PER_CHECK", 25)
    take(check, *[OK] * 40)

    assert prune() == 15
    assert Reading.objects.count() == 25


def test_the_last_flip_of_a_check_is_never_pruned(check):
    long_ago = timezone.now() - recording.KEEP_FLIPS * 3
    HealthCheck.objects.update(counted_since=long_ago)
    for minute, state in enumerate([OK, FAILED, FAILED, FAILED]):
        record(measured(check, state, long_ago + timedelta(minutes=minute)))
    assert Flip.objects.count() == 2

    prune()

    assert [flip.after for flip in Flip.objects.all()] == ["failed"]


def test_states_of_many_checks_are_read_in_a_few_queries(check, django_assert_num_queries):
    for number in range(20):
        each = create(None, CheckSpec(name=f"c{number}", kind="memory"), COMMAND)
        take(each, OK)

    with django_assert_num_queries(3):
        shown = selectors.views(HealthCheck.objects.select_related("tenant"))

    assert len(shown) == 21

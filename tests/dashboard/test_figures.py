"""Numbers, spans and states as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from coordination.selectors import COUNT_BOUND
from dashboard.templatetags import figures

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "–"),
        (-0.4, "0.0 s"),
        (0.44, "0.4 s"),
        (42.4, "42 s"),
        (59.9, "59 s"),
        (119, "1 min"),
        (7_500, "2 h 5 min"),
        (97 * 3_600, "4 d 1 h"),
    ],
)
def test_a_span_is_short_and_never_rounded_up_to_the_next_unit(seconds, shown):
    assert figures.span(seconds) == shown


def test_an_age_keeps_its_moment_in_the_title():
    shown = figures.age(NOON, NOON - timedelta(minutes=3))
    assert ">3 min</time>" in shown
    assert 'title="2026-05-01 11:57:00 UTC"' in shown


def test_a_count_at_the_bound_is_at_least_that():
    assert figures.count(COUNT_BOUND) == "≥ 100,000"
    assert figures.count(1_234) == "1,234"


@pytest.mark.parametrize("word", sorted(figures.LOOKS))
def test_a_state_is_colour_icon_and_word(word):
    shown = figures.state(word)
    assert word.replace("_", " ") in shown
    assert figures.LOOKS[word].icon in shown
    assert figures.LOOKS[word].tone in shown


def test_an_unknown_state_is_still_shown_as_text():
    assert "&lt;new&gt;" in figures.state("<new>")


def test_memory_and_measured_values_are_short():
    assert [figures.memory(n) for n in (None, 3 * 2**20, 3 * 2**30)] == ["–", "3 MiB", "3.0 GiB"]
    assert [figures.figure(n) for n in (None, 0.8532, 12_345.6)] == ["", "0.853", "12,346"]

"""Numbers that YAML and Python know and no clock does."""

from __future__ import annotations

import pytest

from coordination import definitions
from coordination.errors import Invalid
from coordination.fairness import effective_priority
from coordination.retry import LONGEST_SECONDS, Backoff

STRANGE = [float("inf"), float("nan"), 1e300]


@pytest.mark.parametrize("value", STRANGE)
@pytest.mark.parametrize("field", ["time_limit_seconds", "backoff_seconds", "backoff_cap_seconds"])
def test_a_definition_refuses_what_no_clock_counts(tenant, swarms, field, value):
    with pytest.raises(Invalid, match=field):
        definitions.define(tenant, "strange", handler="tests.accept", **{field: value})


@pytest.mark.parametrize("value", STRANGE)
def test_no_backoff_waits_longer_than_a_year(value):
    assert 0.0 <= Backoff(1e300, value).delay(5, 0.999) <= LONGEST_SECONDS


@pytest.mark.parametrize(("waited", "step"), [(90.0, float("nan")), (-3600.0, 60.0)])
def test_priority_never_falls_by_aging(waited, step):
    assert effective_priority(3, waited, step) == 3

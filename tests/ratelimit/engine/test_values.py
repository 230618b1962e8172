from __future__ import annotations

from fractions import Fraction

import pytest

from ratelimit.buckets import Bucket
from ratelimit.decision import combine
from ratelimit.keys import Keys
from ratelimit.quota import LONGEST_PERIOD_US, Quota


@pytest.mark.parametrize(
    ("limit", "period_us", "burst", "reason"),
    [
        (0, 1, 1, "limit: 0 is not between 1 and"),
        (-5, 1, 1, "limit: -5 is not between"),
        (1.5, 1, 1, "limit: 1.5 is not a whole number"),
        (True, 1, 1, "limit: True is not a whole number"),
        (1, 0, 1, "period_us: 0 is not between"),
        (1, LONGEST_PERIOD_US + 1, 1, "period_us: "),
        (1, 1, 0, "burst: 0 is not between"),
        (1, 86_400_000_000, 10**6, "burst: 1000000 units would take more than ten years"),
        (999_999_999_989, 1, 10**12, "burst: 1000000000000 with a limit of 999999999989"),
    ],
)
def test_a_bad_quota_is_refused_with_its_field_and_reason(limit, period_us, burst, reason):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the text is compared below
        Quota(limit, period_us, burst)

    assert str(refused.value).startswith(reason)


def test_a_rate_is_exact():
    assert Quota(1, 7_000_000, 3).rate == Fraction(1, 7)
    assert Quota.per_second(100, 5, 0.3).rate == Fraction(1000, 3)


def test_no_two_subjects_share_a_key():
    keys = Keys("p")
    quota = Quota(1, 1, 1)
    names = [("a:b", "c"), ("a", "b:c"), ("a%3Ab", "c"), ("a", "b"), ("a{b}", "c"), ("", "a")]
    names += [("long", "x" * 500), ("long", "x" * 501)]

    made = [keys.of("level", Bucket(name, key, quota)) for name, key in names]

    assert len(set(made)) == len(names)
    assert max(map(len, made)) < 250
    assert {name[:8] for name in made} == {"p:{ansf}"}


def test_nothing_asked_is_nothing_denied():
    assert combine((), allowed=True).allowed
    assert combine((), allowed=True, degraded=True).degraded

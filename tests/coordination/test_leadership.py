"""One leader per lease: taken, renewed, lost, given up; the term only grows."""

from __future__ import annotations

import pytest

from coordination.leadership import LEASE_SECONDS, Leadership
from coordination.models import Lease
from tests.coordination.steps import ago, lead, lease_runs_out, now
from tests.databases import in_threads


def lease():
    return Lease.objects.get(name="coordinator")


def follow(holder="two"):
    return Leadership("coordinator", holder)


def test_the_first_to_ask_leads(db):
    one, two = follow("one"), follow("two")

    assert one.acquire_or_renew() == 1
    assert two.acquire_or_renew() is None
    assert (one.trusted_term(), two.trusted_term()) == (1, None)
    assert (lease().holder, lease().term) == ("one", 1)


def test_renewing_keeps_the_term_and_moves_the_end(db):
    one = lead()
    Lease.objects.update(expires_at=ago(-1))

    assert one.acquire_or_renew() == 1

    left = (lease().expires_at - now()).total_seconds()
    assert LEASE_SECONDS - 1 < left <= LEASE_SECONDS


def test_whoever_finds_the_lease_expired_takes_it_with_the_next_term(db):
    one, two = lead("one"), follow("two")
    lease_runs_out()

    assert two.acquire_or_renew() == 2
    assert one.acquire_or_renew() is None
    assert one.trusted_term() is None


def test_a_leader_that_overslept_leads_again_under_a_new_term(db):
    one = lead("one")
    lease_runs_out()

    assert one.acquire_or_renew() == 2


def test_a_namesake_does_not_inherit_the_term(db):
    lead("one")

    assert follow("one").acquire_or_renew() is None


def test_resigning_lets_another_take_over_at_once(db):
    one, two = lead("one"), follow("two")

    one.resign()

    assert one.trusted_term() is None
    assert two.acquire_or_renew() == 2
    one.resign()  # no longer its own: changes nothing
    assert two.acquire_or_renew() == 2


def test_renewals_without_a_gap_are_one_steady_series(db):
    one = lead(steady=True)
    since = lease().steady_since
    Lease.objects.update(renewed_at=ago(2))

    one.acquire_or_renew()

    assert lease().steady_since == since


def test_a_gap_begins_a_new_series_under_the_same_term(db):
    one = lead(steady=True)
    Lease.objects.update(renewed_at=ago(3))

    assert one.acquire_or_renew() == 1

    assert lease().steady_since > ago(5)


def test_a_change_of_leader_begins_a_new_series(db):
    lead("one", steady=True)
    lease_runs_out()

    lead("two")

    assert lease().steady_since > ago(5)


def test_leases_of_other_names_are_apart(db):
    lead("one")

    assert Leadership("watch", "two").acquire_or_renew() == 1


def test_a_holder_stops_trusting_its_lease_before_it_ends(db, monkeypatch):
    one = lead()
    clock = {"now": 1000.0}
    monkeypatch.setattr("coordination.leadership.time.monotonic", lambda: clock["now"])
    one.acquire_or_renew()

    clock["now"] += LEASE_SECONDS - 1.1
    assert one.trusted_term() == 1
    clock["now"] += 0.2
    assert one.trusted_term() is None


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
@pytest.mark.postgres
def test_of_many_that_ask_at_once_one_leads(db):
    candidates = [follow(f"holder-{number}") for number in range(8)]

    terms = in_threads(*[candidate.acquire_or_renew for candidate in candidates])

    assert [term for term in terms if term] == [1]

"""What the leader does: dispatch, wake, expire, take back; and that an old term does nothing."""

from __future__ import annotations

from uuid import uuid4

import pytest

from coordination import counters, lifecycle
from coordination.lifecycle.leading import Deposed, leading
from coordination.models import Attempt, Status
from tests.coordination.steps import (
    ago,
    claim,
    dispatch,
    get,
    lead,
    lease_runs_out,
    now,
    outcomes,
    plant,
    ready,
    retry,
    status,
    worker,
)


class TestDispatch:
    def test_a_dispatched_task_has_a_new_fence_and_its_envelope(self, definition):
        task, envelope = ready(), uuid4()

        assert dispatch(task, envelope=envelope) == {task: 1}

        row = get(task)
        assert (row.status, row.envelope, row.claim) == (Status.DISPATCHED, envelope, None)
        assert row.dispatched_at is not None

    def test_only_ready_tasks_are_dispatched(self, definition, tenant):
        gone, there = ready(), ready()
        lifecycle.cancel(tenant.pk, [gone])

        assert dispatch(gone, there) == {there: 1}
        assert dispatch(there) == {}
        assert lifecycle.dispatch(None, []) == {}


class TestTakeBack:
    def test_what_the_broker_refused_is_ready_with_a_new_fence(self, definition):
        refused, sent = ready(), ready()
        envelope = uuid4()
        fence = dispatch(refused, envelope=envelope)[refused]
        dispatch(sent)

        assert lifecycle.take_back_unpublished(None, [envelope]) == 1
        assert lifecycle.take_back_unpublished(None, []) == 0

        row = get(refused)
        assert (row.status, row.fence, row.reason) == (Status.READY, fence + 1, "not published")
        assert status(sent) == Status.DISPATCHED
        assert lifecycle.claim(uuid4(), worker().pk, [(refused, fence)]) == []

    def test_what_was_claimed_after_all_stays(self, definition):
        task, envelope = ready(), uuid4()
        fences = dispatch(task, envelope=envelope)
        lifecycle.claim(uuid4(), worker().pk, list(fences.items()))

        assert lifecycle.take_back_unpublished(None, [envelope]) == 0

    @pytest.mark.parametrize(
        ("seconds", "columns", "taken"),
        [
            (4, {"idle_beats": 5}, 0),
            (6, {"idle_beats": 5}, 1),
            (6, {"idle_beats": 1}, 0),
            (6, {"idle_beats": 5, "draining": True}, 0),
            (6, {"idle_beats": 5, "lease": -1}, 0),
            (6, {"idle_beats": 5, "pool": "io"}, 0),
            (59, {"idle_beats": 0}, 0),
            (61, {"idle_beats": 0}, 1),
        ],
    )
    def test_an_unclaimed_message_is_given_up_after_5_s_beside_an_idle_worker_or_60(
        self, definition, seconds, columns, taken
    ):
        worker(**{"pool": "cpu", **columns})
        task = ready()
        dispatch(task)
        plant(task, dispatched_at=ago(seconds))

        assert lifecycle.take_back_unclaimed(None) == taken

        assert counters.totals() == ({"unclaimed": 1} if taken else {})
        assert status(task) == (Status.READY if taken else Status.DISPATCHED)

    def test_the_deadline_is_due_again_after_a_take_back(self, definition):
        task = ready(deadline=now().replace(year=2100))
        dispatch(task)
        plant(task, dispatched_at=ago(61))

        lifecycle.take_back_unclaimed(None)

        assert get(task).due_at == get(task).deadline


class TestWakeAndExpire:
    def test_a_scheduled_task_becomes_ready_when_it_is_due(self, definition):
        due, later = ready(), ready()
        retry(due, 60.0)
        retry(later, 60.0)
        plant(due, due_at=ago(1))

        assert lifecycle.wake(None) == 1

        assert (status(due), status(later)) == (Status.READY, Status.SCHEDULED)
        assert get(due).ready_at > ago(30)

    @pytest.mark.parametrize("state", ["ready", "scheduled", "blocked", "dispatched"])
    def test_what_waits_past_its_deadline_expires(self, definition, state):
        later = now().replace(year=2100)
        ready(lane="l")
        task = {
            "ready": lambda: ready(deadline=later),
            "scheduled": lambda: ready(deadline=later, not_before=later.replace(month=1)),
            "blocked": lambda: ready(deadline=later, lane="l"),
            "dispatched": lambda: ready(deadline=later),
        }[state]()
        if state == "dispatched":
            dispatch(task)
        assert status(task) == state
        assert lifecycle.expire(None) == 0
        plant(task, deadline=ago(1), due_at=ago(1))

        assert lifecycle.expire(None) == 1

        row = get(task)
        assert (row.status, row.reason) == (Status.EXPIRED, "deadline")
        assert row.finished_at is not None

    def test_what_is_due_and_past_its_deadline_expires_and_is_not_woken(self, definition):
        task = ready(not_before=now().replace(year=2100))
        plant(task, due_at=ago(2), deadline=ago(1))

        assert lifecycle.wake(None) == 0
        assert lifecycle.expire(None) == 1

    def test_what_runs_past_its_deadline_is_left_to_its_worker(self, definition):
        task = ready(deadline=now().replace(year=2100))
        claim(task)
        plant(task, deadline=ago(1), due_at=ago(1))

        assert lifecycle.expire(None) == 0

    def test_the_claim_of_an_expired_task_gets_nothing(self, definition):
        task = ready(deadline=now().replace(year=2100))
        fences = dispatch(task)
        plant(task, deadline=ago(1))
        lifecycle.expire(None)

        assert lifecycle.claim(uuid4(), worker().pk, list(fences.items())) == []


class TestTerms:
    """Nothing of an old term commits."""

    @pytest.fixture
    def old_term(self, definition):
        first = lead("one")
        lease_runs_out()
        lead("two", steady=True)
        return first.term

    def test_an_old_term_marks_wakes_and_takes_back_nothing(self, old_term):
        waiting, sent, scheduled = ready(), ready(), ready()
        envelope = uuid4()
        dispatch(sent, envelope=envelope)
        retry(scheduled, 60.0)
        plant(sent, dispatched_at=ago(100))
        plant(scheduled, due_at=ago(1))

        assert dispatch(waiting, term=old_term) == {}
        assert lifecycle.wake(old_term) == 0
        assert lifecycle.take_back_unclaimed(old_term) == 0
        assert lifecycle.take_back_unpublished(old_term, [envelope]) == 0

        assert [status(task) for task in (waiting, sent, scheduled)] == [
            Status.READY, Status.DISPATCHED, Status.SCHEDULED,
        ]  # fmt: skip

    def test_an_old_term_ends_nothing(self, old_term):
        task = ready()
        plant(task, deadline=ago(1), due_at=ago(1))
        lost = claim(ready(), by=worker(lease=-1))

        with pytest.raises(Deposed):
            lifecycle.expire(old_term)
        assert lifecycle.judge(old_term).uncharged == 0

        assert status(task) == Status.READY
        assert [status(task) for task in lost.fences] == [Status.RUNNING]

    def test_a_term_whose_lease_ran_out_does_nothing_either(self, definition):
        term = lead().term
        lease_runs_out()
        task = ready()

        assert dispatch(task, term=term) == {}
        with pytest.raises(Deposed), leading(term):
            pass

    def test_the_term_that_leads_may_do_all_of_it(self, definition):
        term = lead().term

        assert dispatch(ready(), term=term) != {}
        with leading(term):
            pass


def test_steps_of_a_life_leave_no_attempt_that_was_not_one(definition):
    task = ready()
    dispatch(task)
    plant(task, dispatched_at=ago(61))
    lifecycle.take_back_unclaimed(None)
    claim(task).give_back()

    assert outcomes(task) == []
    assert Attempt.objects.count() == 0
    assert get(task).fence == 4

"""Schedules: due times by cron and interval, what was missed, and firing exactly once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from coordination import lifecycle, schedules
from coordination.lifecycle.leading import Deposed
from coordination.models import Firing, Schedule, Task
from tests.coordination.steps import ago, claim, lead, now, succeed
from tests.databases import in_threads

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def make(definition, tenant):
    """A schedule whose next due time lies that many seconds back."""

    def schedule(late=1.0, **columns):
        timing = {} if "cron" in columns else {"interval_seconds": 60.0}
        return Schedule.objects.create(
            tenant=tenant,
            name=columns.pop("name", "s"),
            definition_name="accept",
            next_at=ago(late),
            **{**timing, **columns},
        )

    return schedule


def fire(term=None):
    return schedules.fire_due(term)


class TestDueTimes:
    def test_an_interval_counts_from_the_time_it_was_armed(self, make):
        schedule = make()

        schedules.arm(schedule)

        left = (Schedule.objects.get().next_at - now()).total_seconds()
        assert 59 < left <= 60

    def test_a_cron_expression_is_read_in_its_own_time_zone(self, make):
        schedule = make(cron="30 9 * * *", timezone="Europe/Berlin")

        found = schedules.next_after(schedule, datetime(2026, 1, 5, 12, tzinfo=UTC))

        assert found == datetime(2026, 1, 6, 9, 30, tzinfo=BERLIN)

    @pytest.mark.parametrize(
        ("cron", "start", "days"),
        [("30 2 * * *", datetime(2026, 3, 27), 4), ("30 2 * * *", datetime(2026, 10, 23), 4)],  # noqa: DTZ001
    )
    def test_a_daily_time_fires_once_a_day_over_a_change_of_the_clock(
        self, make, cron, start, days
    ):
        schedule = make(cron=cron, timezone="Europe/Berlin")
        moment = start.replace(tzinfo=BERLIN, hour=12)
        found = []
        for _ in range(days):
            moment = schedules.next_after(schedule, moment)
            found.append(moment.astimezone(BERLIN))

        assert [time.date() for time in found] == [
            (start + timedelta(days=number)).date() for number in range(1, days + 1)
        ]
        assert found == sorted(found)

    def test_an_hourly_schedule_fires_in_every_hour_of_the_night_of_the_change(self, make):
        schedule = make(cron="0 * * * *", timezone="Europe/Berlin")
        moment = datetime(2026, 10, 24, 22, tzinfo=UTC)
        found = []
        for _ in range(5):
            moment = schedules.next_after(schedule, moment)
            found.append(moment.astimezone(UTC).hour)

        assert found == [23, 0, 1, 2, 3]

    def test_of_an_hour_that_comes_twice_the_latest_due_time_is_the_first(self, make):
        schedule = make(cron="30 2 * * *", timezone="Europe/Berlin", late=10 * 365 * 86_400.0)

        latest = schedules._latest_until(schedule, datetime(2026, 10, 25, 12, tzinfo=UTC))

        assert latest == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)

    def test_a_day_that_never_is_has_no_due_time(self, make):
        assert (
            schedules.next_after(make(cron="0 0 30 2 *"), datetime(2026, 1, 1, tzinfo=UTC)) is None
        )

    @pytest.mark.parametrize(
        ("columns", "field"),
        [
            ({"cron": "61 * * * *"}, "/cron"),
            ({"cron": ""}, "/cron"),
            ({"cron": "0 0 * * *", "interval_seconds": 60.0}, "/cron"),
            ({"interval_seconds": 0.5}, "/interval_seconds"),
            ({"interval_seconds": float("nan")}, "/interval_seconds"),
            ({"interval_seconds": 60.0, "timezone": "Mars/Base"}, "/timezone"),
            ({"interval_seconds": 60.0, "timezone": "../../etc/passwd"}, "/timezone"),
            ({"interval_seconds": 60.0, "timezone": ""}, "/timezone"),
        ],
    )
    def test_wrong_timing_is_named(self, columns, field):
        assert [error.field for error in schedules.check(Schedule(**columns))] == [field]

    @pytest.mark.parametrize("columns", [{"cron": "*/5 * * * 1-5"}, {"interval_seconds": 1.0}])
    def test_right_timing_is_accepted(self, columns):
        assert schedules.check(Schedule(**columns)) == []


class TestFiring:
    def test_a_due_schedule_submits_its_task_and_waits_for_the_next_time(self, make, swarms):
        due = make(payload={"x": 1}, priority=7, swarm=swarms["qa"]).next_at

        assert fire() == 1
        assert fire() == 0

        task, firing = Task.objects.get(), Firing.objects.get()
        assert (task.payload, task.priority) == ({"x": 1}, 7)
        assert task.swarm_id == swarms["qa"].pk
        assert (firing.task_id, firing.due_at) == (task.id, due)
        assert Schedule.objects.get().next_at == due + timedelta(seconds=60)

    def test_disabled_and_future_schedules_do_not_fire(self, make):
        make(name="off", enabled=False)
        make(name="later", late=-10.0)

        assert fire() == 0

    def test_two_that_saw_it_due_fire_once(self, make):
        schedule = make()
        moment = now()

        schedules._fire_all(schedule, moment, None)
        schedules._fire_all(schedule, moment, None)

        assert (Firing.objects.count(), Task.objects.count()) == (1, 1)

    def test_an_old_term_fires_nothing(self, make):
        make()
        term = lead().term + 1

        with pytest.raises(Deposed):
            fire(term)

        assert (Firing.objects.count(), Task.objects.count()) == (0, 0)

    def test_a_schedule_that_was_changed_meanwhile_keeps_its_new_time(self, make):
        schedule = make()
        later = now() + timedelta(hours=5)
        Schedule.objects.update(next_at=later)

        schedules._fire_all(schedule, now(), None)

        assert Schedule.objects.get().next_at == later

    def test_a_schedule_that_cannot_fire_says_why_and_goes_on(self, make):
        make(name="broken")
        Schedule.objects.filter(name="broken").update(definition_name="gone")
        make(name="good")

        assert fire() == 1

        broken = Schedule.objects.get(name="broken")
        assert "'gone'" in broken.last_error
        assert broken.next_at > now()
        assert broken.firings.get().skipped == "refused"

    def test_its_error_is_forgotten_when_it_fires_again(self, make):
        make(last_error="was broken")

        fire()

        assert Schedule.objects.get().last_error == ""

    def test_running_it_now_leaves_its_times_alone(self, make):
        schedule = make(late=-100.0)

        schedules.run_now(schedule)

        assert Task.objects.count() == 1
        assert Schedule.objects.get().next_at == schedule.next_at

    def test_switching_off_and_on_arms_it_from_now(self, make):
        schedule = make(late=1000.0)

        schedules.set_enabled(schedule, enabled=False)
        assert Schedule.objects.get().next_at is None
        schedules.set_enabled(schedule, enabled=True)

        assert Schedule.objects.get().next_at > now()
        assert fire() == 0


class TestCatchingUp:
    def test_the_latest_of_what_was_missed_fires_once(self, make):
        due = make(late=605.0).next_at

        assert fire() == 1

        assert Firing.objects.get().due_at == due + timedelta(seconds=600)
        assert Schedule.objects.get().next_at == due + timedelta(seconds=660)

    def test_all_that_was_missed_fires_in_order_and_in_bounded_batches(self, make):
        due = make(late=150 * 60.0 + 5, catch_up="all", overlap="allow").next_at

        assert fire() == 100
        assert fire() == 51
        assert fire() == 0

        found = list(Firing.objects.order_by("due_at").values_list("due_at", flat=True))
        assert found == [due + timedelta(seconds=60 * number) for number in range(151)]

    def test_what_was_missed_is_left_out_where_the_schedule_says_so(self, make):
        due = make(late=95.0, interval_seconds=600.0, catch_up="skip").next_at

        assert fire() == 0

        assert Schedule.objects.get().next_at == due + timedelta(seconds=600)

    def test_a_little_late_is_not_missed(self, make):
        make(late=30.0, catch_up="skip")

        assert fire() == 1

    @pytest.mark.parametrize("catch_up", ["latest", "skip"])
    def test_years_of_minutes_are_jumped_over_at_once(self, make, monkeypatch, catch_up):
        make(late=5 * 365 * 86_400.0, cron="* * * * *", catch_up=catch_up)
        asked = []
        real = schedules.next_after

        def counted(schedule, moment):
            asked.append(moment)
            return real(schedule, moment)

        monkeypatch.setattr(schedules, "next_after", counted)

        assert fire() == 1

        assert len(asked) < 10
        assert Firing.objects.get().due_at > ago(61)
        assert now() < Schedule.objects.get().next_at


class TestOverlap:
    def test_a_firing_is_left_out_while_the_previous_task_lives(self, make):
        make()
        fire()
        Schedule.objects.update(next_at=ago(1))

        assert fire() == 0

        assert Firing.objects.order_by("due_at").last().skipped == "the previous one still runs"

    def test_it_fires_again_once_that_task_has_ended(self, make):
        make()
        fire()
        succeed(Task.objects.get().id)
        Schedule.objects.update(next_at=ago(1))

        assert fire() == 1

    def test_a_task_that_was_left_out_does_not_hide_the_one_that_runs(self, make):
        make()
        fire()
        grip = claim(Task.objects.get().id)
        for _ in range(2):
            Schedule.objects.update(next_at=ago(0.5))
            fire()
        assert Task.objects.count() == 1

        grip.finish()
        Schedule.objects.update(next_at=ago(0.1))

        assert fire() == 1

    def test_it_may_start_beside_one_that_still_runs(self, make):
        make(overlap="allow")
        fire()
        Schedule.objects.update(next_at=ago(0.5))

        assert fire() == 1

    def test_a_task_that_is_gone_does_not_run(self, make, tenant):
        make()
        fire()
        lifecycle.cancel(tenant.pk, [Task.objects.get().id])
        Task.objects.all().delete()
        Schedule.objects.update(next_at=ago(0.5))

        assert fire() == 1


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
@pytest.mark.postgres
def test_coordinators_at_once_fire_each_due_time_once(make):
    for number in range(20):
        make(name=f"s{number}", late=200.0, catch_up="all", overlap="allow")

    fired = in_threads(*[fire] * 4)

    assert sum(fired) == 80
    assert (Firing.objects.count(), Task.objects.count()) == (80, 80)

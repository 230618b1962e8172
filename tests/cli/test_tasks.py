from __future__ import annotations

import json

import pytest

from ansf_platform.accounts.models import AuditEntry
from coordination import selectors, submission
from coordination.models import Attempt, LiveKey, Status, Task

pytestmark = pytest.mark.django_db


@pytest.fixture
def task_id(definition, tenant):
    return submission.submit("echo", {"n": 1}, tenant=tenant).task_id


@pytest.fixture
def dead(task_id, definition, swarm, end):
    end(Status.DEAD, task_id, reason="ValueError")
    Attempt.objects.create(
        task_id=task_id,
        fence=1,
        number=1,
        definition=definition,
        swarm=swarm,
        outcome="failed",
        error_type="ValueError",
        error_message="no such \x1b[31mcolour",
        log="first line\nsecond line\n",
    )
    return task_id


def test_submit_prints_the_id_alone_so_that_a_shell_can_keep_it(manage, definition):
    said = manage("submit", "echo", "--payload", '{"n": 3}', "--priority", "7")

    task = Task.objects.get()
    assert said.code == 0
    assert said.out == f"{task.pk}\n"
    assert (task.payload, task.priority, task.status) == ({"n": 3}, 7, Status.READY)


def test_submit_reads_its_payload_from_a_file_or_from_stdin(manage, definition, tmp_path):
    file = tmp_path / "payload.json"
    file.write_text('{"n": 4}')

    manage("submit", "echo", "-f", file)
    manage("submit", "echo", "-f", "-", stdin='{"n": 5}')

    assert sorted(task.payload["n"] for task in Task.objects.all()) == [4, 5]


def test_submit_with_a_key_that_a_live_task_holds_answers_with_that_task(manage, definition):
    first = manage("submit", "echo", "--key", "daily", "--json").json
    second = manage("submit", "echo", "--key", "daily", "--json").json

    assert first["created"]
    assert second == {"id": first["id"], "created": False}
    assert LiveKey.objects.count() == 1


def test_submit_refuses_a_taken_key_when_asked_to(manage, fails, definition):
    manage("submit", "echo", "--key", "daily")

    assert "daily" in fails(2, "submit", "echo", "--key", "daily", "--reject")


def test_submit_with_a_delay_schedules_the_task(manage, definition):
    manage("submit", "echo", "--delay", "1h", "--deadline", "2030-01-31T12:00:00Z")

    task = Task.objects.get()
    assert task.status == Status.SCHEDULED
    assert task.deadline.year == 2030


def test_submit_is_recorded(manage, definition):
    manage("submit", "echo")

    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action) == ("command", "task.submit")
    assert entry.object_id == str(Task.objects.get().pk)


def test_waiting_for_a_task_that_nobody_runs_says_try_again(manage, definition):
    said = manage("submit", "echo", "--wait", "0.01s")

    assert said.code == 75
    assert said.out == f"{Task.objects.get().pk}\n"
    assert "ready" in said.err


def test_waiting_for_a_task_that_ends_prints_its_result(manage, definition, end, monkeypatch):
    def meanwhile(task_id, _seconds):
        end(Status.SUCCEEDED, task_id, result={"sum": 7})
        return True

    monkeypatch.setattr(selectors, "wait_for", meanwhile)

    said = manage("submit", "echo", "--wait", "--json").json

    assert (said["status"], said["result"]) == ("succeeded", {"sum": 7})


def test_waiting_for_a_task_that_dies_fails(manage, definition, end, monkeypatch):
    monkeypatch.setattr(
        selectors, "wait_for", lambda task_id, _: end(Status.DEAD, task_id, reason="ValueError")
    )

    said = manage("submit", "echo", "--wait")

    assert said.code == 1
    assert "ended dead: ValueError" in said.err


def test_task_list_filters_and_prints_json_or_a_plain_table(manage, task_id, definition):
    submission.submit("echo", priority=9)

    listed = manage("task", "list", "--priority", "9", "--json").json["tasks"]
    plain = manage("task", "list", "--swarm", "research", "--since", "1h").out

    assert [task["priority"] for task in listed] == [9]
    lines = plain.splitlines()
    assert lines[0].split()[:3] == ["id", "definition", "swarm"]
    assert len(lines) == 3
    assert "\x1b" not in plain


def test_task_show_tells_the_whole_life(manage, dead):
    said = manage("task", "show", dead, "--json").json

    assert said["id"] == str(dead)
    assert said["payload"] == {"n": 1}
    assert [attempt["error_type"] for attempt in said["attempts"]] == ["ValueError"]
    assert said["timeline"][0]["what"] == "submitted"


def test_what_a_task_wrote_cannot_drive_the_terminal(manage, dead):
    said = manage("task", "show", dead)

    assert "\x1b" not in said.out
    assert "\\x1b[31mcolour" in said.out


def test_task_logs_prints_what_the_handler_logged(manage, dead):
    assert manage("task", "logs", dead).out == "first line\nsecond line\n"
    assert manage("task", "logs", dead, "--json").json["log"] == "first line\nsecond line\n"
    assert manage("task", "logs", dead, "-f").out == "first line\nsecond line\n"


def test_task_cancel_ends_a_waiting_task_and_is_recorded(manage, task_id):
    said = manage("task", "cancel", task_id, "--json").json

    assert said == {"tasks": {str(task_id): "cancelled"}}
    assert Task.objects.get().status == Status.CANCELLED
    assert AuditEntry.objects.get(action="task.cancel").object_id == str(task_id)


def test_cancelling_too_late_fails_and_says_so(manage, fails, dead):
    said = manage("task", "cancel", dead)

    assert said.code == 1
    assert "ended before" in said.err
    assert not AuditEntry.objects.filter(action="task.cancel").exists()


def test_task_retry_makes_a_dead_task_ready(manage, dead):
    assert manage("task", "retry", dead).code == 0
    assert Task.objects.get().status == Status.READY


def test_another_tenants_task_does_not_exist(manage, fails, task_id, other_tenant):
    for verb in ("show", "logs"):
        assert str(task_id) in fails(2, "task", verb, task_id, "--tenant", "other")
    for verb in ("cancel", "retry"):
        said = manage("task", verb, task_id, "--tenant", "other")
        assert said.code == 2
        assert str(task_id) in said.err
    assert manage("task", "list", "--tenant", "other", "--json").json == {"tasks": []}


def test_dead_list_names_the_errors(manage, dead):
    assert manage("dead", "list", "--json").json["dead"][0]["error_type"] == "ValueError"
    assert "ValueError: no such" in manage("dead", "list", "--error", "ValueError").out
    assert manage("dead", "list", "--error", "KeyError", "--json").json == {"dead": []}


def test_dead_replay_by_id_needs_no_confirmation(manage, dead):
    said = manage("dead", "replay", dead, "--json").json

    assert said == {"replayed": 1, "not_ended": 0, "missing": 0}
    assert AuditEntry.objects.get(action="dead.replay").detail["tasks"] == [str(dead)]


def test_dead_replay_by_filter_asks_unless_told_yes(manage, fails, dead):
    assert "--yes" in fails(2, "dead", "replay", "--definition", "echo")
    assert Task.objects.get().status == Status.DEAD

    assert manage("dead", "replay", "--definition", "echo", "--yes").out == "1 replayed\n"
    assert Task.objects.get().status == Status.READY


def test_dead_replay_of_everything_has_to_be_asked_for(fails, dead):
    assert "--all" in fails(2, "dead", "replay", "--yes")


def test_json_has_stable_keys(manage, task_id):
    said = json.loads(manage("task", "list", "--json").out)["tasks"][0]

    assert {"id", "definition", "version", "swarm", "status", "priority", "attempt"} <= set(said)

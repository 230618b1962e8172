"""Workers and their children killed, frozen and limited, on RabbitMQ and PostgreSQL."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from coordination.models import Attempt, Outcome, Status, Task
from tests.faults.system import SETTLE_S

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.postgres, pytest.mark.rabbitmq]

WITHIN_S = 10.0  # a fault is healed
QUICK = 300
TRIES = 5


def warmed_up(full, handler, **columns) -> str:
    """A definition known to be quick, so that its envelopes carry several tasks."""
    name = full.definition(handler, **columns)
    tasks = full.submit(name, [{}] * 50)
    full.drain(tasks)
    return name


def held_among_others(full, name, **payload):
    """Submit quick tasks and, among them, some that wait; the first that shared its envelope.

    Answers it, its neighbours, and all tasks. The gates of the others are open.
    """
    gates = {place: full.gate() for place in range(QUICK // 5, QUICK, QUICK // 10)}
    payloads = [{} for _ in range(QUICK)]
    for place, gate in gates.items():
        payloads[place] = {"gate": str(gate), **payload}
    tasks = full.submit(name, payloads)
    for place, gate in gates.items():
        full.wait_for_starts([tasks[place]])
        if neighbours := full.neighbours(tasks[place]):
            for other in gates.values():
                if other is not gate:
                    other.touch()
            return Held(tasks[place], gate, neighbours, tasks)
        gate.touch()  # on a busy machine tasks look slow, and travel alone
    raise AssertionError("every held task travelled alone: nothing would be shown")


@dataclass(frozen=True)
class Held:
    task: UUID
    gate: Path
    neighbours: list[UUID]
    tasks: list[UUID]


def charged_losses(tasks) -> set[UUID]:
    """The tasks to which the loss of a worker was charged."""
    charged = Attempt.objects.filter(task_id__in=tasks, charged=True)
    return set(charged.filter(outcome=Outcome.LOST).values_list("task_id", flat=True))


def submit_held(full, gate) -> tuple[list[UUID], list[str]]:
    """One task of each handler, both begun and waiting; and their definitions."""
    names = [full.definition(handler) for handler in ("bench.effect", "bench.result")]
    held = [task for name in names for task in full.submit(name, [{"gate": str(gate)}])]
    full.wait_for_starts(held)
    return held, names


def test_the_tasks_of_a_killed_worker_run_again_elsewhere(full, verdict):
    full.lead()
    ledger, gate = full.ledger(), full.gate()
    victim = full.worker("cpu", 2, "victim")
    held, names = submit_held(full, gate)
    others = [task for name in names for task in full.submit(name, [{}] * 10)]
    full.worker("cpu", 2, "other")
    killed_at = time.time()
    victim.kill()
    gate.touch()
    tasks = held + others
    full.drain(tasks)
    restarted = full.seconds_until_restart(held, killed_at)
    found = verdict(
        ledger.judge(
            "worker killed",
            tasks,
            recovery=restarted,
            recovered_by="kill to last restart",
            remarks=["the charged ones ran alone in their envelopes"],
        )
    )
    assert (found.lost, found.duplicate_effects) == (0, 0)
    assert restarted < WITHIN_S
    assert not charged_losses(others)


def killed_among_others(full, name) -> tuple[UUID, list[UUID]]:
    """Run quick tasks, one of which kills its process the first time; it, and all of them."""
    payloads = [{} for _ in range(QUICK)]
    payloads[QUICK // 2] = {"die_once": str(full.gate())}
    tasks = full.submit(name, payloads)
    full.drain(tasks)
    return tasks[QUICK // 2], tasks


@pytest.mark.parametrize("handler", ["bench.effect", "bench.result"])
def test_a_killed_child_costs_its_neighbours_nothing(full, verdict, handler):
    full.lead()
    full.worker("cpu", 1)
    for _ in range(TRIES):
        name = warmed_up(full, handler)
        ledger = full.ledger()
        killer, tasks = killed_among_others(full, name)
        lost = Attempt.objects.filter(task_id__in=tasks, outcome=Outcome.LOST)
        if lost.count() > 1:  # else it looked slow on a busy machine, and travelled alone
            break
    first, second = full.starts_of(killer)
    found = verdict(
        ledger.judge(
            f"child killed in an envelope, {handler}",
            tasks,
            recovery=second.at - first.at,
            recovered_by="kill to restart",
            remarks=[f"{lost.count() - 1} neighbours were unfinished"],
        )
    )
    assert lost.count() > 1
    assert (found.lost, found.duplicate_effects, found.charged) == (0, 0, 0)
    assert second.at - first.at < WITHIN_S


def fence_of(task) -> int:
    return Task.objects.get(id=task).fence


def test_a_hard_limit_in_an_envelope_costs_its_neighbours_nothing(full, verdict):
    full.lead()
    full.worker("cpu", 1)
    ledger = full.ledger()
    limit = 5.0  # more than a busy machine needs to open the gates of those that travel alone
    name = warmed_up(full, "bench.effect", time_limit_seconds=limit)
    held = held_among_others(full, name, stubborn=True)
    first = full.starts_of(held.task)[0]
    full.wait(lambda: fence_of(held.task) > first.fence, "the limit to be enforced")
    held.gate.touch()
    full.drain(held.tasks)
    restarted = full.seconds_until_restart([held.task], first.at) - limit
    found = verdict(
        ledger.judge(
            "hard limit in an envelope",
            held.tasks,
            recovery=restarted,
            recovered_by="soft limit to restart",
            remarks=[f"{len(held.neighbours)} neighbours in its envelope"],
        )
    )
    assert full.starts_of(held.task)[-1].pid != first.pid
    assert (found.lost, found.duplicate_effects, found.charged) == (0, 0, 0)
    assert restarted < WITHIN_S


def test_late_writes_of_a_frozen_worker_are_fenced(full, verdict):
    full.lead()
    ledger, gate = full.ledger(), full.gate()
    frozen = full.worker("cpu", 2, "frozen")
    tasks, names = submit_held(full, gate)
    # Before the freeze: a slow start would find the tasks taken back and never be seen idle.
    full.worker("cpu", 2, "other")
    frozen_at = time.time()
    frozen.pause()
    full.wait_for_starts(tasks, 2)
    gate.touch()
    full.drain(tasks)
    restarted = full.seconds_until_restart(tasks, frozen_at)
    frozen.resume()
    full.wait(lambda: ledger.fenced() >= len(tasks), "late results to be fenced")
    full.wait(lambda: full.is_alive(frozen), "the thawed worker to beat again")
    found = verdict(
        ledger.judge(
            "worker frozen past its lease",
            tasks,
            recovery=restarted,
            recovered_by="freeze to last restart",
        )
    )
    assert (found.lost, found.duplicate_effects) == (0, 0)
    assert found.fenced == len(tasks)
    assert restarted < WITHIN_S
    more = [task for name in names for task in full.submit(name, [{}] * 10)]
    full.drain(more)
    assert full.in_status(more, Status.SUCCEEDED) == len(more)


def test_a_task_that_kills_its_worker_dies_alone(full, verdict):
    full.lead()
    full.worker("cpu", 2)
    ledger = full.ledger()
    name = warmed_up(full, "bench.effect", max_attempts=2, backoff_seconds=0.1)
    begun_at = time.time()
    payloads = [{} for _ in range(QUICK)]
    payloads[QUICK // 2] = {"die": True}
    tasks = full.submit(name, payloads)
    poison = tasks[QUICK // 2]
    full.drain(tasks, 2 * SETTLE_S)
    found = verdict(
        ledger.judge(
            "a task kills its worker every time",
            tasks,
            dead=[poison],
            recovery=time.time() - begun_at,
            recovered_by="submission to all ended",
        )
    )
    assert (found.lost, found.duplicate_effects) == (0, 0)
    assert list(Task.objects.filter(id__in=tasks, status=Status.DEAD)) == [
        Task.objects.get(id=poison)
    ]
    assert charged_losses(tasks) == {poison}

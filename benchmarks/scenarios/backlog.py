"""100 000 waiting tasks on PostgreSQL: submission, lists, and the dispatcher's cycle.

The dispatcher's cycle is measured in this process against the real broker, with the room of two
registered slots and nobody to take the messages; each cycle's tasks are taken back afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx
from django.contrib.auth import get_user_model
from django.test import Client

from ansf_platform.accounts.models import Tenant
from ansf_platform.accounts.tokens import issue
from ansf_platform.celery import make_app, probe_profile, use_profile
from ansf_platform.services.ports import free_port
from ansf_platform.services.probes import http_answers
from benchmarks.driving import measured_stack, until
from benchmarks.figures import Figure, Findings, median, percentile
from benchmarks.stack import Stack
from coordination.definitions import define
from coordination.dispatch import Dispatcher
from coordination.leadership import Leadership
from coordination.lifecycle import take_back_unpublished
from coordination.models import Status, Task
from coordination.publish import Publisher
from coordination.submission import TaskRequest, submit_many
from workers.node import register

TASKS = 100_000
BULK = 10_000
CYCLES = 50
LOOKS = 15
SMALL = 1_000
SCHEMA = {
    "type": "object",
    "required": ["i"],
    "properties": {"i": {"type": "integer", "minimum": 0}, "name": {"type": "string"}},
    "additionalProperties": False,
}


def measure(tasks: int | None, rounds: int | None) -> Findings:
    """Rates of submission, time of the lists, and of a cycle with few and with many waiting."""
    count = tasks or TASKS
    findings = Findings("backlog", "manage.py bench backlog --json")
    with measured_stack("full", {"DEBUG": "0"}) as stack:
        tenant = Tenant.objects.get(slug="default")
        define(tenant, "checked", handler="bench.noop", schema=SCHEMA)
        findings.add("rest_per_s", _rest(stack, tenant, min(count, 3 * BULK), rounds or 3))
        Task.objects.all().delete()
        submit_many(_requests(SMALL))
        cycle = _Cycles(stack)
        few = cycle.milliseconds()
        findings.add("submit_per_s", _python(count))
        many = cycle.milliseconds()
        cycle.close()
        for label, times in (("few", few), ("many", many)):
            waiting = SMALL if label == "few" else count
            note = f"{waiting} tasks waiting, 95th percentile"
            findings.add(
                f"cycle_ms_{label}", Figure(percentile(times, 0.95), "ms", CYCLES, 0, note)
            )
        _lists(findings, tenant)
    return findings


def _requests(count: int) -> list[TaskRequest]:
    return [
        TaskRequest(definition="checked", payload={"i": number, "name": "small"})
        for number in range(count)
    ]


def _python(count: int) -> Figure:
    rates = []
    for _ in range(count // BULK):
        requests = _requests(BULK)
        begun = time.perf_counter()
        submit_many(requests)
        rates.append(BULK / (time.perf_counter() - begun))
    return median(rates, "1/s", f"submit_many of {BULK}, schema checked, one transaction each")


def _rest(stack: Stack, tenant: Tenant, count: int, rounds: int) -> Figure:
    _, secret = issue(tenant, "bench", ["tasks:read", "tasks:write"])
    port = free_port()
    arguments = ("ansf_platform.asgi:application", "--port", str(port), "--log-level", "warning")
    stack.start_module("web", "uvicorn", *arguments)
    base = f"http://127.0.0.1:{port}"
    until(lambda: http_answers(f"{base}/livez"), 30, "the web server")
    body = {
        "tasks": [
            {"definition": "checked", "payload": {"i": number, "name": "small"}}
            for number in range(BULK)
        ]
    }
    rates = []
    with httpx.Client(headers={"Authorization": f"Bearer {secret}"}, timeout=60) as client:
        for _ in range(max(rounds, count // BULK)):
            begun = time.perf_counter()
            answer = client.post(f"{base}/api/v1/tasks/bulk", json=body)
            rates.append(BULK / (time.perf_counter() - begun))
            answer.raise_for_status()
    return median(rates, "1/s", f"POST /api/v1/tasks/bulk of {BULK} on uvicorn, schema checked")


@dataclass(slots=True)
class _Looks:
    name: str
    address: str
    note: str


def _lists(findings: Findings, tenant: Tenant) -> None:
    """The first page of both task lists, rendered through the whole of Django."""
    user = get_user_model().objects.create_superuser("bench", password="x")  # noqa: S106
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(user)
    _, secret = issue(tenant, "reader", ["tasks:read"])
    for look in (
        _Looks("list_ms", "/api/v1/tasks?limit=100", "GET /api/v1/tasks, 100 rows"),
        _Looks("admin_ms", "/admin/coordination/task/", "the admin's list of tasks"),
    ):
        headers = {"authorization": f"Bearer {secret}"} if look.name == "list_ms" else {}

        def get(look: _Looks = look, headers: dict[str, str] = headers) -> None:
            answer = client.get(look.address, headers=headers)
            if answer.status_code != 200:  # noqa: PLR2004
                raise RuntimeError(f"{look.address} answered {answer.status_code}")

        get()
        times = _timed([get] * LOOKS)
        findings.add(look.name, Figure(percentile(times, 0.95), "ms", LOOKS, 0, look.note))


def _timed(calls: Sequence[Callable[[], object]]) -> list[float]:
    times = []
    for call in calls:
        begun = time.perf_counter()
        call()
        times.append((time.perf_counter() - begun) * 1000)
    return times


class _Cycles:
    """A dispatcher in this process, on the stack's own broker."""

    def __init__(self, stack: Stack) -> None:
        assert stack.broker is not None  # noqa: S101 - started with the stack
        app = make_app(stack.broker.url)
        profile = probe_profile(stack.broker.url)
        use_profile(app, profile)
        register("cpu", 2, ["bench.noop"], stack.directory)
        self.leader = Leadership("coordinator", "bench")
        self.publisher = Publisher(app, profile)
        self.publisher.start()
        self.publisher.wait_ready(10)

    def milliseconds(self) -> list[float]:
        """How long each of some cycles took that found room and work."""
        dispatcher = Dispatcher(self.publisher)
        times = []
        for _ in range(CYCLES):
            term = self.leader.acquire_or_renew()
            assert term is not None  # noqa: S101 - nobody else is there
            begun = time.perf_counter()
            dispatched = dispatcher.cycle(term)
            times.append((time.perf_counter() - begun) * 1000)
            if not dispatched:
                raise RuntimeError("a cycle found nothing to dispatch")
            self._take_back(term)
        return times

    def _take_back(self, term: int) -> None:
        envelopes = Task.objects.filter(status=Status.DISPATCHED).values_list("envelope", flat=True)
        take_back_unpublished(term, [envelope for envelope in set(envelopes) if envelope])

    def close(self) -> None:
        """Stop publishing."""
        self.publisher.stop()

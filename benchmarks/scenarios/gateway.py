"""What the gateway costs: calls through it beside calls of the same server, one after the other.

Several ways in turn, so that whatever else the machine does falls on all of them: straight to the
server; by `complete()` in this process, which is what a task does; over HTTP at `/v1/`; both again
for questions that the cache may keep and does not know yet; and over HTTP for an answer that is
cached. The server takes as long as a fast model would.

The first two ask at temperature 1: by the default policy such answers are not cached, so that is
the gateway alone (limits, breaker, slot, routing, ledger). A question that may be cached costs its
vector beside that (MiniLM on one core), the search for similar ones, joining and storing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

import httpx
import redis

from ansf_platform.accounts import tokens
from ansf_platform.accounts.models import Tenant
from ansf_platform.services.ports import free_port
from ansf_platform.services.probes import wait_until
from benchmarks.driving import measured_stack
from benchmarks.figures import Figure, Findings, median, percentile
from benchmarks.stack import Stack
from gateway import catalogue, threads
from gateway.breaker.shared import Breakers
from gateway.cache.connection import Connection
from gateway.cache.response_cache import ResponseCache
from gateway.embedder import MINILM
from gateway.models import LanguageModel, Provider
from gateway.pipe import Surroundings, Terms, complete
from gateway.request import Message, Request
from ratelimit.limiter import Limiter

CALLS, WARM_UP = 300, 40
DELAY_MS = 20.0
HOT = 1.0
"""Temperature: neither looked for nor stored, so every call goes to the server."""
QUESTION = "What should a swarm of agents do when a lease has expired?"


def measure(tasks: int | None, rounds: int | None) -> Findings:
    """`tasks` calls each way (300)."""
    del rounds
    findings = Findings("gateway", "manage.py bench gateway --json")
    with measured_stack("embedded") as stack:
        seconds = _timed(_ways(stack), tasks or CALLS)
        threads.close()  # what is written behind the answers goes to this stack's rows
    direct = seconds.pop("direct")
    note = f"one call of a server that takes {DELAY_MS:.0f} ms"
    findings.add("direct_ms", median([1e3 * each for each in direct], "ms", note))
    for name, taken in seconds.items():
        over = [1e3 * (ours - theirs) for ours, theirs in zip(taken, direct, strict=True)]
        if name == "hit":
            findings.add("hit_ms", median([1e3 * each for each in taken], "ms", _NOTES[name]))
            continue
        findings.add(f"overhead_{name}_ms", median(over, "ms", _NOTES[name]))
        p95 = Figure(
            percentile(over, 0.95), "ms", len(over), note=f"95th percentile: {_NOTES[name]}"
        )
        findings.add(f"overhead_{name}_p95_ms", p95)
    return findings


_NOTES = {
    "task": "complete() in a process, beyond the call of the server made just before",
    "http": "POST /v1/chat/completions, beyond the call of the server made just before",
    "task_new": "complete() in a process for a question that is new to the cache, likewise",
    "http_new": "POST /v1/chat/completions for a question that is new to the cache, likewise",
    "hit": "POST /v1/chat/completions for an answer that is cached",
}


def _timed(ways: dict[str, Callable[[], None]], calls: int) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(WARM_UP + calls):
        for name, call in ways.items():
            began = time.perf_counter()
            call()
            if number >= WARM_UP:
                taken[name].append(time.perf_counter() - began)
    return taken


def _ways(stack: Stack) -> dict[str, Callable[[], None]]:
    port = free_port()
    stack.start_module("model", "benchmarks.model_server", str(port), str(DELAY_MS))
    url = f"http://127.0.0.1:{port}/v1"
    tenant = _prepare(url)
    site = stack.web()
    _, key = tokens.issue(tenant, "bench", ["gateway:call"])
    body = _asked(QUESTION)
    straight = httpx.Client(base_url=url, timeout=30)
    ours = httpx.Client(
        base_url=f"{site}/v1", headers={"Authorization": f"Bearer {key}"}, timeout=30
    )
    assert wait_until(lambda: _answers(straight, body), 30.0)  # noqa: S101 - else nothing is measured
    around, request, new = _around(stack), _request(tenant), _new_questions()
    return {
        "direct": lambda: _post(straight, body),
        "task": lambda: _complete(request, around),
        "http": lambda: _post(ours, {**body, "temperature": HOT}),
        "task_new": lambda: _complete(_asking(request, next(new)), around),
        "http_new": lambda: _post(ours, _asked(next(new))),
        "hit": lambda: _post(ours, body),
    }


def _prepare(url: str) -> Tenant:
    provider = Provider.objects.create(name="steady", base_url=url)
    LanguageModel.objects.create(
        name="steady", provider=provider, upstream="steady", quality=0.9,
        input_price=150_000_000, output_price=600_000_000,
    )  # fmt: skip
    catalogue.WATCHER.reset()
    return Tenant.objects.get_or_create(slug="default", defaults={"name": "Default"})[0]


def _around(stack: Stack) -> Surroundings:
    client = redis.Redis.from_url(stack.environment["REDIS_URL"])
    connection = Connection(client)
    return Surroundings(ResponseCache(connection, MINILM), Breakers(connection), Limiter(client))


def _request(tenant: Tenant) -> Request:
    question = (Message("user", QUESTION),)
    return Request(tenant=str(tenant.pk), model="steady", messages=question, temperature=HOT)


def _new_questions() -> Iterator[str]:
    """Questions with nothing in common but their form: each other number vetoes an answer."""
    return (f"What should a swarm of {number} agents do next?" for number in count(2))


def _asking(request: Request, question: str) -> Request:
    return replace(request, temperature=None, messages=(Message("user", question),))


def _asked(question: str) -> dict[str, Any]:
    return {"model": "steady", "messages": [{"role": "user", "content": question}]}


def _answers(client: httpx.Client, body: Mapping[str, Any]) -> bool:
    try:
        _post(client, body)
    except httpx.HTTPError:
        return False
    return True


def _post(client: httpx.Client, body: Mapping[str, Any]) -> None:
    client.post("/chat/completions", json=body).raise_for_status()


def _complete(request: Request, around: Surroundings) -> None:
    complete(request, Terms(), around)

"""Identical requests at once, and a Redis that is flushed, killed and frozen in mid-traffic."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from gateway.cache.coalescing import Flights
from gateway.pipe import looking
from gateway.request import HitLevel
from tests.architecture.sources import ROOT
from tests.gateway.cache.conftest import Bench, answer, request
from tests.gateway.cache.piped import exchange, joined, through

pytestmark = [pytest.mark.valkey, pytest.mark.fault]
QUESTION = "What is the capital of France?"


def until(condition, deadline_s=15.0):
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "the condition was not met in time"
        time.sleep(0.005)


def test_identical_misses_in_many_threads_call_the_model_once(bench):
    workers = [bench.worker() for _ in range(4)]
    started = threading.Barrier(16)
    release = threading.Event()

    def model(asked):
        release.wait(10)
        return bench.model(asked)

    def one(number):
        started.wait()
        return through(workers[number % 4], request(QUESTION), bench.policy, model)

    with ThreadPoolExecutor(16) as threads:
        answers = [threads.submit(one, number) for number in range(16)]
        until(lambda: bench.client.hget(f"{bench.partition.root}meta", "fence"))
        release.set()
        answers = [future.result() for future in answers]

    assert bench.called == [QUESTION]
    assert {a.text for a in answers} == {f"about {QUESTION}"}
    levels = [a.hit_level for a in answers]
    assert levels.count("none") == 1
    assert set(levels) <= {"none", "coalesced", "exact"}


PROCESS = """
import json, sys, time
import django
import redis

django.setup()
from gateway.cache import CachePolicy, ResponseCache
from gateway.cache.connection import Connection
from gateway.embedder import Hashing
from gateway.request import Answer, Message, Request
from tests.gateway.cache.piped import through

url, prefix, calls, seconds = sys.argv[1:]
client = redis.Redis.from_url(url)
cache = ResponseCache(Connection(client, budget_s=10.0), Hashing(), prefix=prefix)

def model(request):
    client.incr(calls)
    time.sleep(float(seconds))
    return Answer(text="Paris", model="m", provider="p")

asked = Request(tenant="1", messages=(Message("user", "What is the capital of France?"),))
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(through(cache, asked, CachePolicy(), model).hit_level), flush=True)
"""


class Processes:
    """Processes that ask the same when told to."""

    def __init__(self, bench, count, seconds):
        arguments = [bench.url, bench.prefix, f"{bench.prefix}:calls", str(seconds)]
        self.all = [
            subprocess.Popen([sys.executable, "-c", PROCESS, *arguments], text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
            for _ in range(count)
        ]  # fmt: skip
        for process in self.all:
            assert process.stdout.readline() == "ready\n"

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for process in self.all:
            process.kill()
            process.communicate()

    def go(self, *chosen):
        for process in chosen or self.all:
            process.stdin.write("\n")
            process.stdin.flush()

    def levels(self, *chosen):
        return [json.loads(process.stdout.readline()) for process in chosen or self.all]


def test_identical_misses_in_several_processes_call_the_model_once(bench):
    with Processes(bench, 3, 0.3) as processes:
        processes.go()
        levels = processes.levels()

    assert bench.client.get(f"{bench.prefix}:calls") == b"1"
    assert levels.count("none") == 1


def test_when_the_one_that_leads_is_killed_one_of_those_that_wait_leads(bench):
    bench.cache.flights = Flights(bench.cache.connection, lease_s=0.5)
    other = bench.worker()
    with Processes(bench, 1, 60) as processes:
        processes.go()
        until(lambda: bench.client.get(f"{bench.prefix}:calls") == b"1")
        (key,) = bench.client.scan_iter(f"{bench.partition.root}f:*")
        with ThreadPoolExecutor(2) as threads:
            waiting = [
                threads.submit(bench.ask, QUESTION, worker=worker)
                for worker in (bench.cache, other)
            ]
            processes.all[0].kill()
            processes.all[0].wait()
            bench.client.pexpire(key, 200)  # its lease is nearly over
            answers = [future.result() for future in waiting]

    assert bench.called == [QUESTION]
    assert {a.hit_level for a in answers} <= {"none", "coalesced", "exact"}


def test_when_the_call_fails_those_that_wait_are_released_at_once(bench):
    failing = threading.Event()

    def fails(_request):
        failing.wait(10)
        raise RuntimeError("no model")

    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(through, bench.cache, request(QUESTION), bench.policy, fails)
        until(lambda: list(bench.client.scan_iter(f"{bench.partition.root}f:*")))
        others = [threads.submit(bench.ask, QUESTION, worker=bench.worker()) for _ in range(2)]
        begun = time.monotonic()
        failing.set()
        with pytest.raises(RuntimeError):
            first.result()
        answers = [future.result() for future in others]

    assert time.monotonic() - begun < 5
    assert all(a.text == f"about {QUESTION}" for a in answers)


def test_nobody_waits_longer_than_the_policy_says(bench):
    leader = exchange(bench.cache, request(QUESTION), bench.policy)
    assert joined(leader) is None
    assert leader.lookup.ticket.flight.leads

    begun = time.monotonic()
    hasty = bench.ask(QUESTION, policy=replace(bench.policy, wait_s=0.1), worker=bench.worker())

    assert hasty.hit_level is HitLevel.NONE
    assert time.monotonic() - begun < 5
    looking.release(leader)


def test_a_winner_that_lost_its_lease_does_not_store_over_its_successor(bench):
    slow = leading(bench.cache, bench.policy)
    bench.cache.flights.land(slow.flight)  # it does not renew its lease any more
    bench.client.delete(f"{bench.partition.root}f:{slow.place.exact}")
    other = bench.worker()
    successor = leading(other, bench.policy)

    assert bench.cache.keep(slow, answer("late"), bench.policy).why == "fenced"
    assert other.keep(successor, answer("in time"), bench.policy).entry
    assert bench.ask(QUESTION).text == "in time"


def leading(cache, policy):
    """The ticket of a call that others wait for."""
    x = exchange(cache, request(QUESTION), policy)
    assert joined(x) is None
    return x.lookup.ticket


class Traffic:
    """Threads of three workers that ask twenty questions over and over."""

    def __init__(self, bench, budget_s):
        self.bench = bench
        self.workers = [bench.worker(budget_s) for _ in range(3)]
        self.hits = self.misses = 0
        self.longest_s = 0.0
        self.errors = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(w,)) for w in self.workers]

    def _run(self, worker):
        number = 0
        policy = replace(self.bench.policy, wait_s=0.2)
        while not self._stop.wait(0.002):
            number += 1
            begun = time.monotonic()
            question = f"question number {number % 20}"
            try:
                made = self.bench.ask(question, worker=worker, policy=policy)
                assert made.text == f"about {question}"
            except BaseException as error:  # noqa: BLE001 - whatever reaches a caller is counted
                self.errors.append(error)
                return
            self.longest_s = max(self.longest_s, time.monotonic() - begun)
            if made.hit:
                self.hits += 1
            else:
                self.misses += 1

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def more(self, *, hits=0, misses=0):
        hits, misses = self.hits + hits, self.misses + misses
        until(lambda: self.errors or (self.hits >= hits and self.misses >= misses))


@pytest.mark.parametrize("fault", ["flush", "kill", "stop"])
def test_flush_restart_and_stop_in_mid_traffic_only_cost_hits(fresh_valkey, fault):
    valkey = fresh_valkey()
    bench = Bench(valkey.url)
    with Traffic(bench, budget_s=0.25) as traffic:
        traffic.more(hits=100)
        match fault:
            case "flush":
                bench.client.flushall()
                traffic.more(misses=20)
            case "kill":
                valkey.kill()
                traffic.more(misses=50)
                valkey.start()
            case "stop":
                valkey.pause()
                traffic.more(misses=50)
                valkey.resume()
        traffic.more(hits=100)

    assert traffic.errors == []
    assert traffic.longest_s < 5
    assert bench.ask("question number 1").hit

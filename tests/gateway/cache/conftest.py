from __future__ import annotations

import uuid

import pytest
import redis

from gateway.cache import CachePolicy, ResponseCache
from gateway.cache.connection import Connection
from gateway.cache.keys import Partition
from gateway.embedder import Hashing
from gateway.request import Answer, Message, Request, Usage
from tests.gateway.cache.piped import through

PATIENT_S = 10.0  # where the budget is not what a test is about, a busy machine may be slow


class Bench:
    """Caches of several processes on one server, and a model that counts its calls."""

    def __init__(self, url, prefix=None, embedder=None):
        self.url = url
        self.prefix = prefix or f"test:{uuid.uuid4().hex}"
        self.embedder = embedder or Hashing()
        self.client = redis.Redis.from_url(url)
        self.cache = self.worker()
        self.policy = CachePolicy(wait_s=PATIENT_S)
        self.called = []
        self.partition = Partition("1", self.prefix)

    def worker(self, budget_s=PATIENT_S):
        """Another process's cache."""
        client = redis.Redis.from_url(self.url)
        return ResponseCache(
            Connection(client, budget_s=budget_s), self.embedder, prefix=self.prefix
        )

    def model(self, request):
        self.called.append(request.question)
        return answer(f"about {request.question}")

    def ask(self, question, *, worker=None, policy=None, **fields):
        """One request, answered by the cache or by the model."""
        cache = worker or self.cache
        return through(cache, request(question, **fields), policy or self.policy, self.model)

    def entry(self, name):
        return self.client.hgetall(f"{self.partition.root}e:{name}")

    def size(self):
        return self.client.hlen(f"{self.partition.root}sizes")


def request(question, **fields):
    fields = {"tenant": "1", "messages": (Message("user", question),), **fields}
    return Request(**fields)


def answer(text="42", **fields):
    fields = {"model": "m", "provider": "p", "usage": Usage(10, 5), "cost_nanodollars": 7_000,
              **fields}  # fmt: skip
    return Answer(text=text, **fields)


@pytest.fixture
def bench(valkey):
    """An empty cache on the session's server."""
    made = Bench(valkey.url)
    yield made
    made.client.close()

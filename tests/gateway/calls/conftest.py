"""A model's server, models that it serves, and the pipe in front of them."""

from __future__ import annotations

import uuid

import pytest
import redis

from gateway import catalogue, spending
from gateway.breaker import Rules
from gateway.breaker.shared import Breakers
from gateway.cache.connection import Connection
from gateway.cache.response_cache import ResponseCache
from gateway.embedder import Hashing
from gateway.models import GatewayPolicy, LanguageModel, LedgerEntry, Provider
from gateway.pipe import Surroundings, Terms, complete, stream
from gateway.providers.connections import client
from gateway.request import Message, Request
from ratelimit import policies
from ratelimit.keys import Keys
from ratelimit.limiter import Limiter
from tests.gateway.server import KEY, PRICES, ModelServer

PATIENT_S = 10.0
"""Redis's budget, where its slowness is not what a test is about: the machine may be busy."""
RULES = Rules(window_ms=60_000, least_calls=4, open_ms=150, trials=2)


@pytest.fixture(scope="module")
def model_server():
    with ModelServer() as found:
        yield found
    client().close()
    client.cache_clear()


@pytest.fixture
def server(model_server):
    """The model's server, well and with nothing counted."""
    model_server.plan()
    model_server.forget()
    model_server.needs_key = False
    return model_server


@pytest.fixture(autouse=True)
def fresh_views():
    """No test sees the rows of another."""
    for each in (catalogue.WATCHER.reset, spending.forget, policies.forget):
        each()
    yield
    for each in (catalogue.WATCHER.reset, spending.forget, policies.forget):
        each()


class Gateway:
    """The pipe of one process, in front of one server."""

    def __init__(self, tenant, url, server):
        self.tenant = tenant
        self.server = server
        self.client = redis.Redis.from_url(url)
        self.prefix = uuid.uuid4().hex
        self.provider = self.add_provider("main")
        self.add_model("small", quality=0.9)
        self.around = self.surroundings()

    def surroundings(self, rules=RULES):
        connection = Connection(self.client, budget_s=PATIENT_S)
        return Surroundings(
            ResponseCache(connection, Hashing(), prefix=f"cache:{self.prefix}"),
            Breakers(connection, rules, prefix=f"breaker:{self.prefix}:"),
            Limiter(self.client, keys=Keys(f"limits:{self.prefix}"), budget_s=PATIENT_S),
        )

    def add_provider(self, name, **columns):
        columns = {"base_url": self.server.url, "timeout_seconds": 10.0, **columns}
        return Provider.objects.create(name=name, **columns)

    def add_model(self, name, provider=None, **columns):
        columns = {
            "upstream": "gpt-4o-mini",
            "input_price": PRICES.input,
            "output_price": PRICES.output,
            "cached_price": PRICES.cached,
            "supports_tools": True,
            "supports_json": True,
            **columns,
        }
        row = LanguageModel.objects.create(name=name, provider=provider or self.provider, **columns)
        catalogue.forget()
        return row

    def change(self, **columns):
        """Change the default policy."""
        GatewayPolicy.objects.update_or_create(tenant=None, name="default", defaults=columns)
        catalogue.forget()

    def request(self, question="What is it?", **fields):
        fields = {"tenant": str(self.tenant.pk), "messages": (Message("user", question),)} | fields
        return Request(**fields)

    def ask(self, question="What is it?", terms=None, **fields):
        return complete(self.request(question, **fields), terms or Terms(), self.around)

    def stream(self, question="What is it?", terms=None, **fields):
        request = self.request(question, stream=True, **fields)
        return stream(request, terms or Terms(), self.around)

    @property
    def spent(self):
        return sum(LedgerEntry.objects.values_list("cost", flat=True))

    @property
    def entries(self):
        return LedgerEntry.objects.count()


@pytest.fixture
def gateway(db, tenant, valkey, server, monkeypatch):
    monkeypatch.setenv("TEST_MODEL_KEY", KEY)
    made = Gateway(tenant, valkey.url, server)
    yield made
    made.around.limiter.close()
    made.around.cache.connection.close()
    made.client.close()

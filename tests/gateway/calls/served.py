"""Our server in a process of its own, in front of the model's server."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx
import openai
import pytest
import redis

from ansf_platform.accounts import tokens
from ansf_platform.accounts.models import Tenant
from ansf_platform.services.ports import free_port
from gateway.models import LanguageModel, Provider
from tests.gateway.calls.threaded import database_in
from tests.gateway.server import KEY, PRICES

ROOT = Path(__file__).parents[3]

PATIENCE_S = 60.0
REDIS = 12


def prepare(url):
    """Models and tokens; the tokens' secrets."""
    tenant, _ = Tenant.objects.get_or_create(slug="default", defaults={"name": "Default"})
    closed = Tenant.objects.create(slug="closed", name="Closed", enabled=False)
    columns = {"base_url": url, "retries": 1}
    main = Provider.objects.create(name="main", key_env="TEST_MODEL_KEY", **columns)
    keyless = Provider.objects.create(name="keyless", key_env="TEST_NO_SUCH_KEY", **columns)
    prices = {
        "input_price": PRICES.input,
        "output_price": PRICES.output,
        "cached_price": PRICES.cached,
        "upstream": "gpt-4o-mini",
        "supports_tools": True,
    }
    LanguageModel.objects.create(name="small", provider=main, quality=0.9, **prices)
    LanguageModel.objects.create(name="keyless", provider=keyless, quality=0.1, **prices)
    return {
        "call": tokens.issue(tenant, "call", ["gateway:call"])[1],
        "read": tokens.issue(tenant, "read", ["tasks:read"])[1],
        "closed": tokens.issue(closed, "closed", ["gateway:call"])[1],
    }


class Site:
    """Our server, its tokens, and what its ledger says."""

    def __init__(self, url, secrets, database):
        self.url, self.secrets, self._database = url, secrets, database
        self._clients = {}

    def client(self, which="call"):
        if which not in self._clients:
            key = self.secrets.get(which, which)
            self._clients[which] = openai.OpenAI(
                base_url=f"{self.url}/v1", api_key=key, max_retries=0, timeout=30
            )
        return self._clients[which]

    def close(self):
        for client in self._clients.values():
            client.close()

    def post(self, body, path="chat/completions", **headers):
        headers = {"Authorization": f"Bearer {self.secrets['call']}",
                   "Content-Type": "application/json", **headers}  # fmt: skip
        return httpx.post(f"{self.url}/v1/{path}", content=body, headers=headers, timeout=30)

    @property
    def ledger(self):
        """(entries, nano-dollars)"""
        return self.rows("SELECT count(*), sum(cost) FROM gateway_ledgerentry")[0]

    def rows(self, query, *words):
        with closing(sqlite3.connect(self._database)) as rows, rows:
            return rows.execute(query, words).fetchall()


@pytest.fixture(scope="module")
def site(model_server, valkey, tmp_path_factory, django_db_setup, django_db_blocker):
    state = tmp_path_factory.mktemp("served")
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment = {
        **kept,
        "ANSF_STATE_DIR": str(state),
        "DEBUG": "1",
        "REDIS_URL": valkey.database_url(REDIS),
        "TEST_MODEL_KEY": KEY,
        "PYTHONPATH": str(ROOT),
    }

    database = state / "ansf.sqlite3"
    with django_db_blocker.unblock(), database_in(database):
        secrets = prepare(model_server.url)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "ansf_platform.asgi:application", "--port"]
    with (state / "server.log").open("w") as log:
        server = subprocess.Popen(
            [*command, str(port), "--lifespan", "off", "--no-access-log"],
            cwd=ROOT, env=environment, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            until_served(url, server)
            found = Site(url, secrets, database)
            yield found
            found.close()
        finally:
            server.terminate()
            server.wait(PATIENCE_S)


@pytest.fixture(autouse=True)
def closed_breakers(valkey):
    """What one test did to a provider is not held against it in the next."""
    with redis.Redis.from_url(valkey.database_url(REDIS)) as client:
        for key in client.scan_iter("ansf:breaker:*"):
            client.delete(key)


def until_served(url, server):
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        assert server.poll() is None, "the server ended"
        try:
            assert httpx.get(f"{url}/v1/models").status_code == 401
        except httpx.ConnectError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("the server does not answer")

"""The real `openai` client against a real server of ours, with a real model's server behind it."""

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
from gateway.openai_api.bodies import MOST_BYTES
from tests.gateway.calls.threaded import database_in
from tests.gateway.server import KEY, PRICES, Turn, cut, failing, limited, said_to

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.django_db  # else nobody makes the database that is copied

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
        with closing(sqlite3.connect(self._database)) as rows:
            told = rows.execute("SELECT count(*), sum(cost) FROM gateway_ledgerentry")
            return told.fetchone()


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


def asked(text):
    return [{"role": "user", "content": text}]


def test_an_answer_is_as_the_client_expects_it_and_says_where_it_came_from(site, server):
    client = site.client()
    first = client.chat.completions.with_raw_response.create(
        model="small", messages=asked("What is a lane?"), max_tokens=50
    )
    again = client.chat.completions.with_raw_response.create(
        model="small", messages=asked("What is a lane?"), max_tokens=50
    )

    answer = first.parse()
    assert answer.choices[0].message.content == said_to("What is a lane?")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "small"
    assert answer.usage.total_tokens == server.tokens
    assert first.headers["x-ansf-hit-level"] == "none"
    assert first.headers["x-ansf-cost"] == f"0.{server.money:09d}"
    assert again.headers["x-ansf-hit-level"] == "exact"
    assert again.headers["x-ansf-cost"] == "0.000000000"
    assert again.headers["x-ansf-score"] == "1.0000"
    assert again.headers["x-ansf-entry"] == first.headers["x-ansf-entry"]
    assert int(again.headers["x-ansf-age"]) >= 0
    assert again.parse().choices[0].message.content == said_to("What is a lane?")
    assert server.calls == 1


def test_a_stream_ends_with_its_usage_and_the_mark(site, server):
    chunks = list(
        site.client().chat.completions.create(
            model="auto", messages=asked("Stream it"), stream=True, temperature=1,
            stream_options={"include_usage": True}, extra_body={"ansf": {"tags": ["a"]}},
        )
    )  # fmt: skip

    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(texts) == said_to("Stream it")
    assert len(texts) > 5
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage.total_tokens == server.tokens
    assert chunks[-1].ansf["cost_nanodollars"] == server.money


def test_tools_pass_through_and_are_never_cached(site, server):
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    message = {"content": None, "tool_calls": [call]}
    server.plan(then=Turn(message=message, finish="tool_calls"))
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}

    answers = [
        site.client().chat.completions.create(
            model="small", messages=asked("Use a tool"), tools=[tool], tool_choice="auto"
        )
        for _ in range(2)
    ]

    assert answers[0].choices[0].message.tool_calls[0].function.name == "look"
    assert answers[0].choices[0].finish_reason == "tool_calls"
    assert server.bodies[0]["tools"] == [tool]
    assert server.bodies[0]["tool_choice"] == "auto"
    assert server.calls == 2


def test_models_are_listed_and_looked_up(site, server):
    client = site.client()

    names = {model.id for model in client.models.list()}

    assert {"auto", "small", "keyless", "extractive"} <= names
    assert client.models.retrieve("small").owned_by == "main"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("nothing")
    assert caught.value.code == "model_not_found"


def test_sentences_become_vectors(site, server):
    made = site.client().embeddings.create(model="minilm-l6-v2-int8", input=["a", "b"])
    plain = site.client().embeddings.create(
        model="minilm-l6-v2-int8", input="a", encoding_format="float"
    )

    assert [len(each.embedding) for each in made.data] == [384, 384]
    assert made.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=0.02)
    assert made.usage.total_tokens == 2


CASES = [
    ({"model": "nothing"}, openai.NotFoundError, "model_not_found"),
    ({"model": ""}, openai.BadRequestError, None),
    ({"messages": []}, openai.BadRequestError, None),
    ({"messages": [{"role": "wizard", "content": "x"}]}, openai.BadRequestError, None),
    ({"messages": [{"role": "user", "content": 5}]}, openai.BadRequestError, None),
    ({"n": 3}, openai.BadRequestError, None),
    ({"logprobs": True}, openai.BadRequestError, None),
    ({"temperature": 9}, openai.BadRequestError, None),
    ({"max_tokens": 0}, openai.BadRequestError, None),
    ({"extra_body": {"ansf": {"tenant": "2"}}}, openai.BadRequestError, None),
    ({"extra_body": {"ansf": {"policy": "nowhere"}}}, openai.BadRequestError, "policy_not_found"),
    ({"messages": asked("word " * 20_000), "model": "small"}, openai.BadRequestError,
     "context_length_exceeded"),
    ({"model": "keyless"}, openai.InternalServerError, "provider_key_missing"),
]  # fmt: skip


def test_what_cannot_be_done_is_told_clearly_and_costs_nothing(site, server):
    before = site.ledger

    for body, error, code in CASES:
        with pytest.raises(error) as caught:
            site.client().chat.completions.create(
                **{"model": "small", "messages": asked("What?"), **body}
            )
        assert caught.value.code == code, body
        assert caught.value.message

    assert server.calls == 0
    assert site.ledger == before


def test_who_may_not_call_is_told_so(site, server):
    with pytest.raises(openai.AuthenticationError):
        site.client("ansf_wrong").models.list()
    for token in ("read", "closed"):
        with pytest.raises(openai.PermissionDeniedError):
            site.client(token).chat.completions.create(model="small", messages=asked("x"))
    assert httpx.get(f"{site.url}/v1/models").json()["error"]["type"] == "authentication_error"
    assert server.calls == 0


@pytest.mark.parametrize(
    ("turns", "error"),
    [
        ([limited(60)], openai.RateLimitError),
        ([failing(500), failing(500)], openai.InternalServerError),
        ([cut(3), cut(3)], openai.InternalServerError),
        ([failing(400)], openai.BadRequestError),
    ],
)
def test_what_the_provider_does_is_told_in_the_same_words(site, server, turns, error):
    server.plan(*turns)

    with pytest.raises(error) as caught:
        site.client().chat.completions.create(
            model="small", messages=asked("Trouble"), temperature=1
        )

    assert caught.value.type
    assert server.money == 0
    if error is openai.RateLimitError:
        assert int(caught.value.response.headers["retry-after"]) in range(50, 61)


def test_a_stream_that_breaks_off_ends_with_an_error(site, server):
    server.plan(cut(4))
    stream = site.client().chat.completions.create(
        model="small", messages=asked("Break"), stream=True, temperature=1
    )
    assert next(stream).choices[0].delta.content

    with pytest.raises(openai.APIError, match=r"cut off|failed"):
        list(stream)


RAW = [
    (b"\xff\xfe{}", 400, "not UTF-8"),
    (b"{", 400, "not JSON"),
    (b"[]", 400, "not a JSON object"),
    (b'{"model": "small", "messages": [{"role": "user", "content": "\\ud800"}]}', 400, "surrogate"),
    (b'{"model": "small", "messages": [{"role": "user", "content": "\\u0000"}]}', 400, "U+0000"),
    (b"[" * 100_000, 400, "nested"),
    (b"x" * (MOST_BYTES + 1), 413, "larger"),
]


def test_bodies_that_cannot_be_read_are_refused(site, server):
    for body, status, told in RAW:
        answer = site.post(body)
        assert answer.status_code == status, told
        assert told in answer.json()["error"]["message"]
        assert answer.headers["x-request-id"]
    wrong_type = site.post(b"{}", **{"Content-Type": "text/plain"})
    assert (wrong_type.status_code, server.calls) == (400, 0)
    assert site.post(b"{}", path="nothing").json()["error"]["code"] == "unknown_url"
    assert httpx.get(f"{site.url}/v1/chat/completions",
                     headers={"Authorization": "Bearer x"}).status_code == 405  # fmt: skip


def test_who_leaves_a_stream_ends_the_call_at_the_provider(site, server):
    server.plan(Turn(drip_s=0.1))
    stream = site.client().chat.completions.create(
        model="small", messages=asked("Leave it"), stream=True, temperature=1
    )
    next(iter(stream))
    stream.close()

    until = time.monotonic() + 15
    while not server.broken and time.monotonic() < until:
        time.sleep(0.02)
    assert server.broken == 1
    assert server.money == 0


def test_the_pages_beside_it_are_still_there(site, server):
    assert httpx.get(f"{site.url}/livez").status_code == 200

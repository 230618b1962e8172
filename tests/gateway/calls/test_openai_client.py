"""The real `openai` client against a real server of ours, with a real model's server behind it."""

from __future__ import annotations

import time

import httpx
import openai
import pytest

from gateway.openai_api.bodies import MOST_BYTES
from tests.gateway.calls.served import closed_breakers, site
from tests.gateway.server import Turn, cut, failing, limited, said_to

__all__ = ["closed_breakers", "site"]
pytestmark = pytest.mark.django_db  # else nobody makes the database that is copied


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
    made = site.client().embeddings.create(model="minilm-l6-v2-w8a8", input=["a", "b"])
    plain = site.client().embeddings.create(
        model="minilm-l6-v2-w8a8", input="a", encoding_format="float"
    )

    assert [len(each.embedding) for each in made.data] == [384, 384]
    assert made.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=0.02)
    assert made.usage.total_tokens == 2


def test_sentences_may_come_as_tokens_and_what_is_cut_is_told(site, server):
    said = site.client().embeddings.create(model="minilm-l6-v2-w8a8", input="hello world")
    tokens_of_it = [15339, 1917]
    made = site.client().embeddings.create(
        model="minilm-l6-v2-w8a8", input=[tokens_of_it, tokens_of_it]
    )

    assert made.data[1].embedding == pytest.approx(said.data[0].embedding, abs=0.02)
    long = site.client().embeddings.create(model="minilm-l6-v2-w8a8", input=["a", "word " * 500])
    assert long.ansf["truncated"] == [1]
    with pytest.raises(openai.BadRequestError, match="cl100k_base does not know"):
        site.client().embeddings.create(model="minilm-l6-v2-w8a8", input=[10**8])


def test_one_id_names_a_call_in_the_answer_the_ledger_and_the_reasons(site, server):
    body = b'{"model": "small", "temperature": 1, "messages": [{"role": "user", "content": "x"}]}'

    answers = [site.post(body, **{"X-Request-Id": "mine"}) for _ in range(2)]
    refused = site.post(b'{"model": "nothing", "messages": []}')

    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len({*ids, refused.headers["x-request-id"], "mine"}) == 4
    assert [answer.headers["x-client-request-id"] for answer in answers] == ["mine", "mine"]
    assert [answer.json()["id"] for answer in answers] == [f"chatcmpl-{each}" for each in ids]
    written = "SELECT request_id FROM {} ORDER BY id DESC LIMIT 2"
    assert {row[0] for row in site.rows(written.format("gateway_ledgerentry"))} == set(ids)
    until = time.monotonic() + 10  # the reasons are written behind the answers
    while time.monotonic() < until:
        told = {row[0] for row in site.rows(written.format("gateway_routerecord"))}
        if told == set(ids):
            break
        time.sleep(0.02)
    assert told == set(ids)


def test_a_budget_that_is_nearly_spent_is_told_with_the_answer(site, server):
    site.rows(
        "INSERT INTO gateway_budget (tenant_id, name, scope, subject, period, soft, imposed,"
        " enabled, created_at, revision)"
        " SELECT id, 'careful', 'tenant', '', 'month', 1, 0, 1, '2026-01-01', 1"
        " FROM accounts_tenant WHERE slug = 'default'"
    )
    body = b'{"model": "small", "temperature": 1, "messages": [{"role": "user", "content": "x"}]}'

    until, told = time.monotonic() + 10, None
    while told is None and time.monotonic() < until:  # in force within a second
        answer = site.post(body)
        told = answer.headers.get("x-ansf-budget-warning")

    assert told == "careful"
    assert answer.json()["ansf"]["budget_warnings"] == ["careful"]


def test_nothing_large_is_read_of_who_may_not_call(site, server):
    body = b'{"x": "' + b"x" * 200_000 + b'"}'
    wrong = {"Authorization": "Bearer ansf_wrong"}

    answer = site.post(body, **wrong)
    small = site.post(b"no JSON", **wrong)

    assert (answer.status_code, small.status_code) == (401, 401)
    assert site.post(body).status_code == 400  # of who may, it is read and judged


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
    assert (
        httpx.get(f"{site.url}/v1/models", timeout=30).json()["error"]["type"]
        == "authentication_error"
    )
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
    assert httpx.get(f"{site.url}/livez", timeout=30).status_code == 200

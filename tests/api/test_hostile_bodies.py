"""Bodies that are not what they should be: a 4xx that says why, never a 500."""

from __future__ import annotations

import json

import pytest
from django.db import OperationalError

from ansf_platform import json_body
from coordination.models import Task

pytestmark = pytest.mark.django_db

SUBMIT = b'{"definition": "demo.add", "payload": {"x": %s}}'


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"{]",
        b"nul",
        b"\xff\xfe",
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": 1} trailing',
        b"{'a': 1}",
        b'{"a": "\x00"}',
        b'{"a": "\n"}',
        SUBMIT % b"NaN",
        SUBMIT % b"Infinity",
        SUBMIT % b"-Infinity",
        SUBMIT % b"1e400",
        SUBMIT % (b"9" * 400 + b".0"),
        SUBMIT % (b"9" * 301),
        SUBMIT % (b"9" * 5000),
        SUBMIT % (b"[" * 65 + b"]" * 65),
        SUBMIT % (b"[" * 100_000),
        SUBMIT % (b"[" * 100_000 + b"]" * 100_000),
        SUBMIT % (b'{"a":' * 5000 + b"1" + b"}" * 5000),
        SUBMIT % rb'"\u0000"',
        SUBMIT % rb'{"\u0000": 1}',
        SUBMIT % rb'"\ud800"',
        SUBMIT % rb'"\udfff\ud800"',
        SUBMIT % rb'[["a", {"b": ["\uDEAD"]}]]',
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda raw: repr(raw[:60]),
)
@pytest.mark.parametrize("path", ["tasks", "tasks/bulk", "swarms", "runs"])
def test_a_body_that_cannot_be_read_is_400(api, definition, problem, path, raw):
    problem(api.post(path, raw), 400)
    assert Task.objects.count() == 0


@pytest.mark.parametrize(
    "raw",
    [
        rb'"\\u0000"',
        rb'"\ud83d\ude00"',
        '"\N{GRINNING FACE}"'.encode(),
        b'"[[[[' + b"[" * 100 + b'"',
        b"[" * 60 + b"]" * 60,
        b"1e300",
        b"9" * 300,
    ],
    ids=lambda raw: repr(raw[:40]),
)
def test_what_only_looks_wrong_is_read(raw):
    assert json_body.parse(raw) == json.loads(raw)


def test_a_stored_payload_comes_back_as_it_was(api, definition):
    definition.schema = {}
    definition.save()
    payload = {"text": "\N{GRINNING FACE}\\u0000", "large": 10**299, "deep": [[[{"a": 1.5}]]]}

    task = api.post("tasks", {"definition": "demo.add", "payload": payload}).json()

    assert api.get(f"tasks/{task['id']}").json()["payload"] == payload


def test_a_body_beyond_the_limit_is_413(api, problem, monkeypatch):
    monkeypatch.setattr(json_body, "MAX_BYTES", 1000)

    problem(api.post("tasks", b" " * 1001), 413)


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data", ""])
def test_another_content_type_is_415(api, problem, kind):
    problem(api.post("tasks", b"{}", Content_Type=kind), 415)


def test_another_accept_is_406_and_still_a_problem(api, problem):
    problem(api.get("tasks", Accept="text/html"), 406)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "tasks"),
        ("PUT", "swarms"),
        ("POST", "audit"),
        ("TRACE", "tasks"),
        ("OPTIONS", "tasks"),
        ("GET", "tasks/bulk"),
        ("GET", "swarms/research/pause"),
    ],
)
def test_another_method_is_405_and_tells_which_are_known(api, problem, method, path):
    response = api.call(method, path)

    problem(response, 405)
    assert response["Allow"]


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "tasks/1",
        "tasks/00000000-0000-0000-0000-00000000000g",
        "agents/99999999999999999999999999",
        "agents/-1",
        "agents/x",
        "swarms/%00",
        "swarms/a%20b",
        "task-definitions/%00",
        "task-definitions/%F0%9F%98%80",
        "task-definitions/a/versions/99999999999999999999",
        "tokens/99999999999999999999",
        "attempts/9223372036854775808",
        "lanes/9223372036854775808",
        "workers/9223372036854775808",
        "schedules/%ff",
        "",
    ],
)
def test_an_address_of_nothing_is_404(api, problem, path):
    problem(api.get(path), 404)


def test_a_defect_is_a_500_with_the_request_id_and_nothing_of_the_inside(
    api, problem, monkeypatch, caplog
):
    def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("the inside")

    monkeypatch.setattr("coordination.selectors.tasks", fail)
    api.client.raise_request_exception = False

    response = api.get("tasks", X_Request_ID="abc-1")

    told = problem(response, 500)
    assert "abc-1" in told["detail"]
    assert "inside" not in response.content.decode()
    assert "the inside" in caplog.text


def test_an_unreachable_database_is_503_and_says_when_to_try_again(api, problem, monkeypatch):
    def fail(*_args: object, **_kwargs: object) -> None:
        raise OperationalError("connection refused at 10.0.0.1")

    monkeypatch.setattr("coordination.selectors.tasks", fail)

    response = api.get("tasks")

    assert "10.0.0.1" not in problem(response, 503)["detail"]
    assert response["Retry-After"]

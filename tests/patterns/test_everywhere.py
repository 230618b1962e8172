"""Several namespaces and hosts answer as one, or say who did not."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from patterns import everywhere, memory, namespaces, remote
from patterns.errors import Invalid, NotFound, Unreachable
from patterns.everywhere import Hit, Question
from patterns.memory import NewPattern


@pytest.fixture
def two(make, random):
    """Two namespaces; their vectors."""
    vectors = random.normal(size=(20, 8))
    for slug, part in (("one", vectors[:10]), ("two", vectors[10:])):
        memory.add_many(make(slug), [NewPattern(v) for v in part])
    return vectors


def test_rankings_are_merged_by_score(two, tenant):
    query = two[3] + two[14]

    (found,) = everywhere.search(tenant, ["one", "two"], Question(vectors=[query], k=6)).results

    scores = two @ query / np.linalg.norm(two, axis=1) / np.linalg.norm(query)
    assert [hit.score for hit in found] == pytest.approx(np.sort(scores)[::-1][:6], abs=1e-5)
    assert {hit.namespace for hit in found} == {"one", "two"}


def test_equal_scores_keep_the_order_of_the_names():
    a, b = Hit("a", 9, 0.5, 1, {}), Hit("b", 1, 0.5, 1, {})

    assert everywhere.merge([[[a]], [[b]]], 2) == [[a, b]]
    assert everywhere.merge([[[b]], [[a]]], 1) == [[b]]


class Other(BaseHTTPRequestHandler):
    """Another host: answers with what the test has put there."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, self.headers["Authorization"], body))
        status, answer = self.server.answer
        raw = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        pass


@pytest.fixture
def other(settings):
    """A host called east."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Other)
    server.asked, server.answer = [], (200, {"metric": "cosine", "results": []})
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    hosts = (f"east=http://127.0.0.1:{server.server_port}",)
    settings.ANSF = {**settings.ANSF, "PATTERN_HOSTS": hosts, "PATTERN_TOKEN": "secret"}
    yield server
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_another_host_is_asked_the_same_and_merged(two, tenant, other):
    hit = {"namespace": "far", "id": 7, "score": 0.99999, "count": 2, "metadata": {"a": 1}}
    other.answer = (200, {"metric": "cosine", "results": [[hit]]})
    question = Question(vectors=[two[3]], k=3, filter={"a": {"exists": False}})

    (found,) = everywhere.search(tenant, ["one", "east:far"], question).results

    assert [one.namespace for one in found] == ["one", "east:far", "one"]
    ((path, token, body),) = other.asked
    assert (path, token) == ("/api/v1/patterns/search", "Bearer secret")
    assert body["namespaces"] == ["far"]
    assert body["filter"] == {"a": {"exists": False}}
    assert body["vectors"] == [pytest.approx(two[3])]


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (404, NotFound, "east: there is no namespace"),
        (422, Invalid, "east: there is no namespace"),
        (500, Unreachable, "east does not answer the question"),
    ],
)
def test_what_another_host_refuses_is_told(two, tenant, other, status, error, message):
    other.answer = (status, {"detail": "there is no namespace"})

    with pytest.raises(error, match=message):
        everywhere.search(tenant, ["one", "east:far"], Question(vectors=[two[3]]))


def test_a_host_that_is_away_is_an_error_and_no_shorter_answer(two, tenant, settings):
    hosts = ("east=http://127.0.0.1:9",)
    settings.ANSF = {**settings.ANSF, "PATTERN_HOSTS": hosts}

    with pytest.raises(Unreachable, match="east"):
        everywhere.search(tenant, ["one", "east:far"], Question(vectors=[two[3]]))


HIT = {"id": 7, "score": 0.5, "count": 2, "metadata": {}}


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"metric": "cosine"},
        {"metric": "cosine", "results": None},
        {"metric": "cosine", "results": []},
        {"metric": "cosine", "results": [[], []]},
        {"metric": "cosine", "results": [[HIT] * 4]},
        {"metric": "cosine", "results": [[7]]},
        {"metric": "cosine", "results": [[{"id": 7}]]},
        {"metric": "cosine", "results": [[HIT | {"score": None}]]},
        {"metric": "cosine", "results": [[HIT | {"score": float("nan")}]]},
        {"metric": "cosine", "results": [[HIT | {"metadata": []}]]},
        {"metric": "length", "results": [[HIT]]},
        {"results": [[HIT]]},
    ],
    ids=str,
)
def test_an_answer_that_makes_no_sense_is_told_of_and_not_used(two, tenant, other, answer):
    other.answer = (200, answer)

    with pytest.raises(Unreachable, match="east"):
        everywhere.search(tenant, ["one", "east:far"], Question(vectors=[two[3]], k=3))


def test_an_answer_that_is_too_large_is_not_held(two, tenant, other, monkeypatch):
    monkeypatch.setattr(remote, "MAX_ANSWER_BYTES", 1 << 20)
    other.answer = (200, {"metric": "cosine", "results": [[]], "more": "x" * (2 << 20)})

    with pytest.raises(Unreachable, match="more than 1 MB"):
        everywhere.search(tenant, ["east:far"], Question(vectors=[two[3]]))


def test_metrics_are_not_mixed_across_hosts_either(two, tenant, other):
    other.answer = (200, {"metric": "euclidean", "results": [[HIT]]})

    with pytest.raises(Invalid, match="different metrics"):
        everywhere.search(tenant, ["one", "east:far"], Question(vectors=[two[3]]))


def test_a_question_that_is_no_numbers_is_refused_before_it_is_sent(two, tenant, other):
    for question in (
        Question(vectors=[["a"]]), Question(vectors=[[float("inf")]]), Question(series=[[1, "b"]]),
    ):  # fmt: skip
        with pytest.raises(Invalid, match="no question for another host"):
            everywhere.search(tenant, ["east:far"], question)
    assert other.asked == []


def test_what_cannot_be_asked_is_refused(two, tenant, make):
    make("flat", metric="euclidean")
    for names, question, error, message in (
        ([], Question(vectors=[two[0]]), Invalid, "1 to 16"),
        (["one", "one"], Question(vectors=[two[0]]), Invalid, "different namespaces"),
        (["one", "flat"], Question(vectors=[two[0]]), Invalid, "different metrics"),
        (["one"], Question(), Invalid, "needs vectors or series"),
        (["none"], Question(vectors=[two[0]]), NotFound, "no namespace 'none'"),
        (["west:far"], Question(vectors=[two[0]]), NotFound, "no host 'west'"),
    ):
        with pytest.raises(error, match=message):
            everywhere.search(tenant, names, question)


def test_a_namespace_of_another_tenant_is_not_there(two, other_tenant):
    with pytest.raises(NotFound):
        everywhere.search(other_tenant, ["one"], Question(vectors=[two[0]]))
    with pytest.raises(NotFound):
        namespaces.named(other_tenant, "one")

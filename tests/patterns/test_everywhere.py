"""Several namespaces and hosts answer as one, or say who did not."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from patterns import everywhere, memory, namespaces
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

    (found,) = everywhere.search(tenant, ["one", "two"], Question(vectors=[query], k=6))

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
    server.asked, server.answer = [], (200, {"results": []})
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hosts = (f"east=http://127.0.0.1:{server.server_port}",)
    settings.ANSF = {**settings.ANSF, "PATTERN_HOSTS": hosts, "PATTERN_TOKEN": "secret"}
    yield server
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_another_host_is_asked_the_same_and_merged(two, tenant, other):
    hit = {"namespace": "far", "id": 7, "score": 0.99999, "count": 2, "metadata": {"a": 1}}
    other.answer = (200, {"results": [[hit]]})
    question = Question(vectors=[two[3]], k=3, filter={"a": {"exists": False}})

    (found,) = everywhere.search(tenant, ["one", "east:far"], question)

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

"""The handlers on pairs, on vectors and on pattern memory: many in one task, JSON out."""

from __future__ import annotations

import json
import math

import jsonschema
import numpy as np
import pytest

from coordination.models import Status
from kernels import dtw, vectors
from patterns import memory, namespaces
from tests.coordination.steps import get, ready
from workers.context import Cancelled, Context, Entered, GiveUp
from workers.handlers import SCHEMAS, pairs, recall
from workers.handlers import vectors as on_vectors
from workers.journal import Journal

RANDOM = np.random.default_rng(3)
WALKS = np.round(np.cumsum(RANDOM.normal(size=(6, 30)), axis=1), 3).tolist()
ROWS = np.round(RANDOM.normal(size=(60, 16)), 4).tolist()


def plain(answer):
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    return answer


@pytest.mark.parametrize("measure", sorted(pairs.MEASURES))
def test_each_pair_gets_the_distance_that_was_asked_for(measure):
    both = [[WALKS[0], WALKS[1]], [WALKS[2], WALKS[3]]]
    found = plain(pairs.compare_each([*both, [[], WALKS[0]]], measure, window=5))["comparisons"]

    for (first, second), one in zip(both, found, strict=False):
        assert one == {"distance": pairs.MEASURES[measure](first, second, 5)}
    assert "error" in found[2]


def test_paths_and_parameters_belong_to_a_measure():
    [found] = plain(pairs.compare_each([WALKS[:2]], paths=True))["comparisons"]
    aligned = dtw.dtw_path(WALKS[0], WALKS[1])
    assert found == {"distance": aligned.distance, "path": aligned.pairs.tolist()}
    [weighted] = pairs.compare_each([WALKS[:2]], "wdtw", g=0.2)["comparisons"]
    assert weighted == {"distance": dtw.wdtw(WALKS[0], WALKS[1], g=0.2)}


def test_the_best_vectors_are_those_of_an_exact_search():
    for metric in ("cosine", "dot", "euclidean"):
        found = plain(on_vectors.top_k_each(ROWS[:70:7], ROWS, 3, metric))["neighbours"]
        matrix = np.array(ROWS)
        if metric == "cosine":
            matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
        for number, one in zip(range(0, 60, 7), found, strict=False):
            scores = matrix @ matrix[number]
            if metric == "euclidean":
                scores = -np.linalg.norm(matrix - matrix[number], axis=1)
            assert one["indices"] == np.argsort(-scores)[:3].tolist()
            assert len(one["scores"]) == 3


def test_vectors_that_repeat_name_the_first():
    owners = plain(on_vectors.near_duplicates([*ROWS[:5], ROWS[2]]))["owners"]
    assert owners == vectors.near_duplicates([*ROWS[:5], ROWS[2]]).tolist() == [0, 1, 2, 3, 4, 2]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: pairs.compare_each([WALKS[:2]], "edr"), "no measure 'edr'"),
        (lambda: pairs.compare_each([WALKS[:2]], "msm", g=1.0), "g belongs to"),
        (lambda: pairs.compare_each([WALKS[:2]], "msm", paths=True), "paths belongs to"),
        (lambda: pairs.compare_each([WALKS[:3]]), "list of .series, series"),
        (lambda: pairs.compare_each([[1.0, 2.0]]), "two lists"),
        (lambda: pairs.compare_each([[[0.0] * 200_000] * 2]), "split it"),
        (lambda: on_vectors.top_k_each(ROWS, [[1.0], [1.0, 2.0]]), "vectors"),
        (lambda: on_vectors.top_k_each([[math.nan] * 16], ROWS), "NaN"),
        (lambda: on_vectors.top_k_each(ROWS, ROWS, metric="l1"), "no metric"),
        (lambda: on_vectors.top_k_each(ROWS * 200, ROWS), "split the task"),
        (lambda: on_vectors.near_duplicates(ROWS, 0.0), "threshold"),
        (lambda: recall.search_each("shapes"), "series or vectors"),
        (lambda: recall.search_each("shapes", [[1.0]], [[1.0]]), "not both"),
        (lambda: recall.add_each("shapes", []), "1 to 10000"),
    ],
)
def test_what_can_never_work_is_not_tried_again(call, says):
    with pytest.raises(GiveUp, match=says):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: pairs.compare_each([WALKS[:2]]),
        lambda: on_vectors.top_k_each(ROWS[:1], ROWS),
        lambda: on_vectors.near_duplicates(ROWS[:1]),
    ],
)
def test_a_batch_stops_when_told_to_and_before_it_would_be_killed(tmp_path, call):
    flag = tmp_path / "cancel"
    flag.touch()
    told = Context(None, 1, 1, None, math.inf, Journal(None), cancel_flag=str(flag))
    with Entered(told), pytest.raises(Cancelled):
        call()
    late = Context(None, 1, 1, None, 0.0, Journal(None))
    with Entered(late), pytest.raises(GiveUp, match="after 0 of 1"):
        call()


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("dtw.compare_each", {"pairs": [WALKS[:2]], "measure": "msm", "c": 0.5}),
        ("vectors.top_k_each", {"queries": ROWS, "vectors": {"$from": "rows"}, "k": 3}),
        ("vectors.near_duplicates", {"vectors": ROWS, "threshold": 0.9}),
        ("patterns.search_each", {"namespace": "shapes", "series": WALKS, "filter": {"a": 1}}),
        ("patterns.add_each", {"namespace": "shapes", "items": [{"vector": [1.0]}]}),
        ("stream.window_batch", {"plan": {}, "chunks": []}),
    ],
)
def test_payloads_are_described_by_their_schemas(name, payload):
    jsonschema.validate(payload, SCHEMAS[name])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**payload, "else": 1}, SCHEMAS[name])


@pytest.fixture
def shapes(tenant, settings, tmp_path):
    settings.STATE_DIR = tmp_path
    columns = {"slug": "shapes", "encoder": "minirocket-384", "dedup_threshold": None}
    return namespaces.create(tenant, columns)


def test_tasks_remember_and_find_series_of_their_tenant(execute, shapes, other_tenant):
    items = [{"series": walk, "metadata": {"n": n}} for n, walk in enumerate(WALKS)]
    added, _ = execute(recall.add_each, {"namespace": "shapes", "items": items})
    found, _ = execute(recall.search_each, {"namespace": "shapes", "series": WALKS[:2], "k": 1})

    assert (added.status, found.status) == (Status.SUCCEEDED, Status.SUCCEEDED)
    ids = added.result["ids"]
    assert [[hit["id"] for hit in hits] for hits in found.result["results"]] == [
        [i] for i in ids[:2]
    ]
    assert found.result["results"][1][0]["metadata"] == {"n": 1}
    namespaces.create(other_tenant, {"slug": "theirs"})
    lost, attempt = execute(recall.search_each, {"namespace": "theirs", "vectors": [[1.0] * 384]})
    assert lost.status == Status.DEAD
    assert "no namespace" in attempt.error_message


def test_what_a_task_adds_stays_out_with_its_result(bind, envelope, shapes, monkeypatch):
    bind(recall.add_each, max_attempts=1)
    task = ready("patterns.add_each", {"namespace": "shapes", "items": [{"series": WALKS[0]}]})
    monkeypatch.setattr(Context, "_success", lambda *_: 1 / 0)  # dies before the task's own end
    envelope(task)

    assert get(task).status == Status.DEAD
    assert memory.stats(shapes).patterns == 0

"""A stream judged by tasks: the same verdicts, as many under way as there may be, and no more."""

from __future__ import annotations

import json
import math
import time

import pytest

from coordination.models import Status, Task
from tests.workers.streams import FORMULA, Arrivals, judged, ndjson, wave
from workers.context import Cancelled, Context, Entered, GiveUp
from workers.handlers.stream import window_batch
from workers.journal import Journal
from workers.streaming import afar
from workers.streaming.here import Here
from workers.streaming.plan import Plan, Watched
from workers.streaming.windows import Judge


def carried_out(sent, envelope):
    """Run what was submitted, as a worker would."""
    ids = [one.task_id for one in sent if one.task_id is not None]
    for ready in Task.objects.filter(pk__in=ids, status=Status.READY):
        envelope(ready.pk)


def bare(lines):
    """Verdicts without what depends on time, in one order."""
    kept = [
        {key: value for key, value in line.items() if key != "latency_ms"}
        for line in lines if line["kind"] in {"window", "formula"}
    ]  # fmt: skip
    return sorted(kept, key=lambda line: (line["source"], line["kind"], json.dumps(line)))


def test_tasks_and_this_process_give_the_same_verdicts(known, bind, envelope, monkeypatch, tenant):
    formulas = (FORMULA, "once(value > 5)", "G[0,3] O[0,4] value > -2")
    plan = Plan(length=32, step=16, namespace="waves", least=0.7, period=1, formulas=formulas)
    watched = [Watched(text) for text in formulas]
    records = [
        one for pair in zip(wave(200, range(90, 99)), wave(200, source="b"), strict=True)
        for one in pair
    ]  # fmt: skip
    feed = [(0.0, ndjson(records[at : at + 70])) for at in range(0, 400, 70)]
    bind(window_batch)
    way = afar.Afar(
        plan, watched, afar.Terms(tenant=tenant, target=10.0, definition="stream.window_batch")
    )
    # Nobody else works here: tasks are carried out whenever the stream waits for them.
    monkeypatch.setattr(afar.time, "sleep", lambda _: carried_out(way._sent, envelope))

    over_tasks = judged(plan, way, Arrivals(*feed), 60, steady=True, batch=100)
    here = judged(plan, Here(plan, Judge(plan, known), watched), Arrivals(*feed))

    assert bare(over_tasks) == bare(here)
    assert {line.get("verdict") for line in here} >= {"anomaly", "violated", "holds", "ok"}
    assert over_tasks[-1]["dropped"] == {}
    assert Task.objects.filter(status=Status.SUCCEEDED).count() > 1


def test_a_task_looks_around_between_the_chunks_that_formulas_are_held_against(tmp_path):
    plan = Plan(formulas=(FORMULA, " <-> ".join(["value > 5"] * 50)))
    chunk = {"signals": {"value": [1.0, 9.0]}, "starts": [], "fresh": 2, "first": 0, "window": ""}
    flag = tmp_path / "cancelled"

    class Stopping(Journal):
        def report(self, done, note):
            flag.touch()

    assert len(window_batch(plan.as_dict(), [chunk])["formulas"][0]) == 2
    told = Context(None, 1, 1, None, math.inf, Stopping(None), cancel_flag=str(flag))
    with Entered(told), pytest.raises(Cancelled):
        window_batch(plan.as_dict(), [chunk, chunk])
    late = Context(None, 1, 1, None, time.monotonic(), Journal(None))
    with Entered(late), pytest.raises(GiveUp, match="after 0 of 2 windows and chunks"):
        window_batch(plan.as_dict(), [chunk, chunk])


def test_a_batch_that_no_task_could_carry_becomes_several(bind, envelope, monkeypatch, tenant):
    plan = Plan(length=32, step=16, period=1)
    records = [one for n in range(6) for one in wave(20 + 7 * n, source=f"s{n}", seed=n)]
    feed = [(0.0, ndjson(records[at : at + 25])) for at in range(0, len(records), 25)]
    bind(window_batch)
    monkeypatch.setattr(afar, "MAX_NUMBERS", 60)
    way = afar.Afar(plan, [], afar.Terms(tenant=tenant, target=10.0))
    monkeypatch.setattr(afar.time, "sleep", lambda _: carried_out(way._sent, envelope))

    over_tasks = judged(plan, way, Arrivals(*feed), steady=True, batch=1000)
    here = judged(plan, Here(plan, Judge(plan, None), []), Arrivals(*feed))

    assert bare(over_tasks) == bare(here) != []
    assert over_tasks[-1]["samples"] == len(records)
    assert Task.objects.count() == 4  # two sources have no whole window


def test_a_task_that_fails_loses_its_windows_and_no_formula(bind, envelope, monkeypatch, tenant):
    plan = Plan(length=32, step=16, period=1, formulas=(FORMULA,))
    bind(window_batch, max_attempts=1)
    way = afar.Afar(plan, [Watched(FORMULA)], afar.Terms(tenant=tenant, target=10.0))
    monkeypatch.setattr(way, "_plan", Plan(length=32, step=16, period=1, formulas=("no_such(",)))
    monkeypatch.setattr(afar.time, "sleep", lambda _: carried_out(way._sent, envelope))

    *lines, summary = judged(plan, way, Arrivals((0.0, ndjson(wave(64, range(40, 50))))), 10)

    assert [line["verdict"] for line in lines if line["kind"] == "formula"] == [
        "holds", "violated", "holds",
    ]  # fmt: skip
    assert summary["dropped"] == {"failed": 3}
    assert {"kind": "dropped", "failed": 3} in lines


def test_a_writer_waits_while_enough_tasks_are_under_way(bind, tenant, monkeypatch):
    plan = Plan(length=32, step=16, period=1)
    bind(window_batch)
    terms = afar.Terms(tenant=tenant, target=10.0, in_flight=2, patience=0.2)
    way = afar.Afar(plan, [], terms)
    feed = Arrivals(*[(0.0, ndjson(wave(32, source=f"s{n}"))) for n in range(10)])

    with pytest.raises(afar.Unavailable, match="is a worker running"):
        judged(plan, way, feed, batch=32)

    assert len(feed.reads) == 8
    assert way.abandon() == 2
    assert set(Task.objects.values_list("status", flat=True)) == {Status.CANCELLED}


def test_whoever_must_not_wait_loses_windows_while_enough_tasks_are_under_way(
    bind, tenant, monkeypatch, envelope
):
    plan = Plan(length=32, step=16, period=1, formulas=("once(value > 9)",))
    bind(window_batch)
    terms = afar.Terms(tenant=tenant, target=10.0, in_flight=2)
    way = afar.Afar(plan, [Watched("once(value > 9)")], terms)
    feed = Arrivals(*[(0.0, ndjson(wave(32, source=f"s{n}"))) for n in range(6)])
    monkeypatch.setattr(
        afar.time, "sleep", lambda _: feed.reads or carried_out(way._sent, envelope)
    )

    *_, summary = judged(plan, way, feed, batch=32, drop=True)

    assert (summary["samples"], summary["windows"]) == (192, 2)
    assert summary["dropped"] == {"forecast": 4}
    assert summary["formula_values"] == 192


def test_what_waits_behind_a_stuck_task_is_bounded_and_told(bind, tenant, monkeypatch, envelope):
    formulas = ("once[0:3](value > 9)", "once(value > 9)", "true")
    plan = Plan(length=32, step=16, period=1, formulas=formulas)
    bind(window_batch)
    monkeypatch.setattr(afar, "MAX_LEFT_OUT", 400)
    way = afar.Afar(
        plan, [Watched(one) for one in formulas],
        afar.Terms(tenant=tenant, target=10.0, in_flight=1),
    )  # fmt: skip
    records = wave(32 * 40)
    feed = Arrivals(*[(0.0, ndjson(records[at : at + 32])) for at in range(0, 32 * 40, 32)])
    most = []

    def look(_):
        most.append(sum(len(chunk.times) for sent in way._sent for chunk in sent.batch.chunks))
        if not feed.reads:
            carried_out(way._sent, envelope)

    monkeypatch.setattr(afar.time, "sleep", look)

    *lines, summary = judged(plan, way, feed, 31, batch=32, drop=True)

    assert max(most) < 400
    assert summary["samples"] + summary["dropped"]["lines"] == 32 * 40
    assert summary["dropped"]["lines"] > 32 * 25
    assert {"lines", "forecast"} <= {key for line in lines for key in line if "kind" in line}
    assert summary["formula_values"] == 3 * summary["samples"]

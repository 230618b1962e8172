"""``manage.py stream`` as a user meets it: files and pipes, this process and tasks, Ctrl-C."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ansf_platform.screen import Screen
from coordination.models import Status, Task
from patterns import memory, namespaces
from patterns.memory import NewPattern
from tests.architecture.sources import ROOT
from tests.cli.conftest import fails, manage
from workers.handlers.stream import window_batch
from workers.streaming import afar, knowing
from workers.streaming.feed import Interruption
from workers.streaming.here import Here
from workers.streaming.plan import Plan, Watched
from workers.streaming.report import Report
from workers.streaming.session import Pace, Session
from workers.streaming.shedding import Shedder
from workers.streaming.sources import Sources
from workers.streaming.windows import Found, Judge

__all__ = ["fails", "manage"]

FORMULA = "always[0:5](value < 4)"
SIZES = ("--window", "32", "--step", "16")


def wave(count, leap=range(0), source="pump", seed=1):
    rng = random.Random(seed)
    return [
        {
            "t": n / 10,
            "source": source,
            "value": math.sin(n / 3) + 0.05 * rng.gauss(0, 1) + 50 * (n in leap),
        }
        for n in range(count)
    ]


def ndjson(records):
    return "".join(f"{json.dumps(one)}\n" for one in records)


@pytest.fixture
def recording(tmp_path):
    """Write lines to a file."""

    def write(text):
        path = tmp_path / "samples.ndjson"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def lines_of(said):
    assert said.code == 0, said.err
    *verdicts, summary = [json.loads(line) for line in said.out.splitlines()]
    assert summary["kind"] == "summary"
    return verdicts, summary


# --- this process
def test_a_recording_is_judged_from_its_first_line_to_its_last(manage, recording):
    path = recording(ndjson(wave(300, leap=range(200, 210))))

    said = manage("stream", path, "--local", *SIZES, "--formula", FORMULA, "--forecast")

    verdicts, summary = lines_of(said)
    windows = [line for line in verdicts if line["kind"] == "window"]
    turns = [line for line in verdicts if line["kind"] == "formula"]
    assert [line["first"] for line in windows] == list(range(0, 269, 16))
    assert (windows[1]["from"], windows[1]["to"]) == (1.6, 4.7)
    assert [(line["verdict"], line["at"], line["t"]) for line in turns] == [
        ("holds", 0, 0.0), ("violated", 195, 19.5), ("holds", 210, 21.0),
    ]  # fmt: skip
    assert (turns[2]["after"], turns[2]["least"]) == (15, turns[2]["least"])
    assert turns[2]["least"] < -1
    unexpected = [line["last"] for line in windows if line["verdict"] == "anomaly"]
    assert any(200 <= last < 226 for last in unexpected)
    assert (summary["samples"], summary["formula_values"]) == (300, 300)
    assert (summary["windows"], summary["verdicts"]) == (17, 20)
    assert summary["anomalies"] == len(unexpected) + 1
    assert summary["dropped"] == {}
    assert summary["p50_ms"] <= summary["p95_ms"]


def test_only_anomalies_are_printed_when_that_is_asked(manage, recording):
    path = recording(ndjson(wave(60, leap=range(30, 31))))
    verdicts, summary = lines_of(
        manage("stream", path, "--local", "--formula", FORMULA, "--anomalies")
    )

    assert [line["verdict"] for line in verdicts] == ["violated"]
    assert summary["verdicts"] == 3


def test_bad_lines_are_told_with_their_number_and_the_others_stand(manage, recording):
    good = [json.dumps(one).encode() for one in wave(20)]
    bad = [b"{", b'{"value": NaN}', b"\xff", b"x" * 70_000, good[2], b'{"source": "q"}']
    path = recording(b"\n".join([*good[:5], *bad, b"", *good[5:]]))

    said = manage("stream", path, "--local", "--formula", FORMULA)

    _, summary = lines_of(said)
    assert (summary["samples"], summary["bad_lines"]) == (20, 6)
    told = [line.split(" ", 2)[1] for line in said.err.splitlines()]
    assert told == ["6", "7", "8", "9", "10"]
    assert "line 10 has t" in said.err


@pytest.mark.parametrize("text", ["", "\n\n", "1\n2\n", "t,value\n1,2\n"])
def test_an_input_without_a_single_sample_is_refused(manage, recording, text):
    said = manage("stream", recording(text), "--local", "--formula", FORMULA)

    assert said.code == 2
    assert "can be used" in said.err.splitlines()[-1]
    assert json.loads(said.out)["samples"] == 0


@pytest.mark.parametrize(
    "wrong",
    [
        (),
        ("--formula", "G("),
        ("--formula", "O F p"),
        ("--forecast", "60"),
        ("--formula", "p", "--window", "0"),
        ("--formula", "p", "--step", "200"),
        ("--formula", "p", "--latency-ms", "0"),
        ("--formula", "p", "--score", "2"),
        ("--formula", "p", "--in-flight", "-1"),
    ],
)
def test_what_cannot_be_asked_is_one_line(fails, recording, wrong):
    fails(2, "stream", recording("{}"), "--local", *wrong)


def test_a_file_that_cannot_be_read_is_one_line(fails, tmp_path):
    assert "No such file" in fails(2, "stream", "nothing", "--local", "--formula", "p")
    assert "directory" in fails(2, "stream", tmp_path, "--local", "--formula", "p")


def test_a_formula_nobody_has_the_signals_of_is_told(manage, recording):
    said = manage(
        "stream", recording(ndjson(wave(9))), "--local", "--formula", "load < 1",
        "--formula", FORMULA,
    )  # fmt: skip
    assert "no source has the signals of load < 1" in said.err


# --- pattern memory
@pytest.fixture
def known(tenant, settings, tmp_path):
    """A namespace that knows 40 windows of waves."""
    settings.STATE_DIR = tmp_path / "state"
    columns = {"slug": "waves", "encoder": "minirocket-384", "dedup_threshold": None}
    namespace = namespaces.create(tenant, columns)
    values = np.array([one["value"] for one in wave(32 * 40, seed=2)]).reshape(40, 32)
    memory.add_many(namespace, [NewPattern(series=v, metadata={"n": 1}) for v in values])
    return namespace


def test_windows_unlike_all_known_patterns_are_unknown(manage, recording, known):
    records = wave(320)
    rng = random.Random(3)
    for one in records[160:192]:
        one["value"] = rng.gauss(0, 1)
    said = manage("stream", recording(ndjson(records)), "--local", *SIZES, "--namespace", "waves")

    verdicts, summary = lines_of(said)
    unknown = {line["first"] for line in verdicts if line.get("reasons") == ["unknown"]}
    assert 160 in unknown
    assert unknown <= {144, 160, 176}
    assert {line["metadata"]["n"] for line in verdicts} == {1}
    assert f"below {knowing.least_score(known):.3f}" in said.err
    assert summary["reasons"] == {"unknown": len(unknown)}


def test_of_few_patterns_no_score_is_learnt(manage, recording, known, tenant):
    path = recording(ndjson(wave(64)))
    namespaces.create(tenant, {"slug": "none", "encoder": "minirocket-384"})
    said = manage("stream", path, "--local", *SIZES, "--namespace", "none")

    assert "too few" in said.err
    assert {line["verdict"] for line in lines_of(said)[0]} == {"anomaly"}
    verdicts, _ = lines_of(
        manage("stream", path, "--local", *SIZES, "--namespace", "waves", "--score", "-1")
    )
    assert {line["verdict"] for line in verdicts} == {"ok"}


def test_a_namespace_that_is_missing_or_takes_vectors_is_refused(fails, recording, known, tenant):
    namespaces.create(tenant, {"slug": "raw", "dimension": 4})
    path = recording("{}")
    assert "no namespace" in fails(2, "stream", path, "--local", "--namespace", "absent")
    assert "no encoder" in fails(2, "stream", path, "--local", "--namespace", "raw")


# --- tasks
def carried_out(sent, envelope):
    """Run what was submitted, as a worker would."""
    ids = [one.task_id for one in sent if one.task_id is not None]
    for ready in Task.objects.filter(pk__in=ids, status=Status.READY):
        envelope(ready.pk)


class Strings:
    """What a report writes."""

    def __init__(self, plan, **options):
        self.text = []
        screen = Screen(sys.stdout, sys.stderr)
        self.report = Report(plan, screen, self.text.append, target=10.0, **options)

    @property
    def lines(self):
        return [json.loads(line) for line in "".join(self.text).splitlines()]


class Arrivals:
    """A feed of bytes with the seconds ago when each was read."""

    def __init__(self, *reads):
        now = time.monotonic()
        self.reads = [(now - ago, text.encode()) for ago, text in reads]

    def read(self, size, seconds):
        return self.reads.pop(0) if self.reads else (time.monotonic(), b"")

    def close(self):
        pass


def judged(plan, path, feed, context=0, **pace):
    strings = Strings(plan)
    sources = Sources(plan, path.watchers.watched, context)
    with Interruption() as interruption:
        Session(feed, sources, path, strings.report, Pace(10.0, 0.0, **pace)).run(interruption)
    strings.report.summary(path.watchers.judged, sources.count, interrupted=False)
    return strings.lines


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


def test_swarms_need_a_definition(fails, recording, tenant):
    said = fails(2, "stream", recording("{}"), "--formula", "p")
    assert "definition create stream.window_batch" in said


# --- too much
def test_lines_that_waited_too_long_are_left_out_and_nothing_reaches_across():
    plan = Plan(length=8, step=4, period=1, formulas=("always[0:3](value < 2)",))
    here = Here(plan, Judge(plan, None), [Watched(plan.formulas[0])])
    records = [{"value": 1.0} for _ in range(24)]
    feed = Arrivals(
        (0.0, ndjson(records[:9])), (8.0, ndjson(records[9:15])), (0.0, ndjson(records[15:]))
    )

    *lines, summary = judged(plan, here, feed, drop=True)

    windows = [line["first"] for line in lines if line["kind"] == "window"]
    assert windows == [0, 9]  # and none from 4 or 8, nor from 13 for want of samples
    assert summary["dropped"] == {"lines": 6}
    assert (summary["samples"], summary["formula_values"]) == (18, 15)


def test_windows_there_is_no_time_for_are_left_out_and_told():
    plan = Plan(length=8, step=4, period=1)
    here = Here(plan, Judge(plan, None), [])
    here.shedder = Shedder(10.0)
    here.shedder.costs["forecast"] = 1.0
    *lines, summary = judged(
        plan, here, Arrivals((0.0, ndjson({"value": n} for n in range(44)))), drop=True
    )

    assert (summary["windows"], summary["dropped"]) == (4, {"forecast": 6})
    assert {"kind": "dropped", "forecast": 6} in lines


# --- a person watches
def test_on_a_terminal_verdicts_are_lines_of_text(monkeypatch, capsys):
    plan = Plan(length=8, step=8, namespace="waves", formulas=(FORMULA,))
    strings = Strings(plan)
    monkeypatch.setattr(Screen, "live", True)
    here = Here(plan, Judge(plan, None), [Watched(FORMULA)])
    here.judge.judge = lambda windows, without: [Found(3, 0.25, {"kind": "saw"}, 1.5)]
    sources = Sources(plan, here.watchers.watched, 5)
    for one in wave(9, range(8, 9)):
        sources.add(one, time.monotonic())
    here.offer(sources.cut(), 0.0)
    strings.report.judged(here.collect(0.0)[0])
    strings.report.lost("lines", 7)
    strings.report.summary(9, 1, interrupted=False)

    told = capsys.readouterr().out
    assert (
        'pump              anomaly   unknown  unexpected  pattern 3 0.250 {"kind": "saw"}' in told
    )
    assert "violated" in told
    assert "left out: 7 lines" in told
    assert strings.text == []


# --- a whole process
@pytest.mark.parametrize("extra", [[], ["--drop"]])
def test_ctrl_c_ends_with_the_summary(tmp_path, extra):
    environment = {**os.environ, "ANSF_STATE_DIR": str(tmp_path)}
    command = [sys.executable, ROOT / "manage.py", "stream", "-", "--local", *extra]
    process = subprocess.Popen(
        [*command, "--formula", FORMULA], env=environment, text=True, bufsize=1,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        process.stdin.write(ndjson(wave(20)))
        first = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)  # the input is still open
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()

    assert (first["verdict"], process.returncode) == ("holds", 130)
    summary = json.loads(out.splitlines()[-1])
    assert (summary["samples"], summary["interrupted"]) == (20, True)
    assert err == "stream: interrupted\n"

"""``manage.py stream`` as a user meets it: files and pipes, this process, Ctrl-C."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from ansf_platform.screen import Screen
from patterns import namespaces
from tests.architecture.sources import ROOT
from tests.cli.conftest import fails, manage
from tests.workers.streams import FORMULA, SIZES, Arrivals, Strings, judged, lines_of, ndjson, wave
from workers.streaming import knowing
from workers.streaming.here import Here
from workers.streaming.plan import Plan, Watched
from workers.streaming.shedding import Shedder
from workers.streaming.sources import Sources
from workers.streaming.windows import Found, Judge

__all__ = ["fails", "manage"]


@pytest.fixture
def recording(tmp_path):
    """Write lines to a file."""

    def write(text):
        path = tmp_path / "samples.ndjson"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


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


# --- pattern memory and tasks
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


def test_whoever_gives_up_tells_what_was_lost(manage, recording, tenant):
    manage("definition", "create", "stream.window_batch")
    path = recording(ndjson(wave(64)))

    said = manage("stream", path, *SIZES, "--forecast", "--patience", "0.2s")

    assert (said.code, said.err.count("is a worker running?")) == (75, 1)
    *lines, summary = [json.loads(line) for line in said.out.splitlines()]
    assert lines == [{"kind": "dropped", "abandoned": 3}]
    assert (summary["dropped"], summary["interrupted"]) == ({"abandoned": 3}, True)


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

"""The parts of a stream: lines, samples, windows, formulas, what is left out, what is told."""

from __future__ import annotations

import json
import os
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import temporal_logic
from workers.handlers.stream import window_batch
from workers.streaming.feed import Direct, Eager, Interruption
from workers.streaming.here import Here
from workers.streaming.latency import Latencies
from workers.streaming.lines import MAX_LINE, BadLine, Lines, record
from workers.streaming.plan import Plan, Refused, Watched
from workers.streaming.shedding import Shedder
from workers.streaming.sources import MAX_HELD, Sources
from workers.streaming.watching import Watch
from workers.streaming.windows import Judge, residual

SHORT = {"length": 8, "step": 3}
FORMULAS = (
    "always[0:3](value < 1)",
    "value > 0 -> eventually[1:4](value < 0)",
    "once[0:2](value > 1) & X(value < 2)",
    "rise(value > 0) -> G[0,2] value > -1",
    "(value < 1) since[0,3] (value < 0)",
    "true",
)
NUMBERS = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=60)
CUTS = st.lists(st.integers(1, 9), min_size=1, max_size=20)


# --- lines
@given(st.lists(st.binary(max_size=6)), st.integers(1, 7))
def test_lines_are_the_same_however_the_bytes_arrive(parts, size):
    data = b"\n".join(part.replace(b"\n", b"") for part in parts)
    lines = Lines()

    found = [
        one for at in range(0, len(data), size) for one in lines.split(data[at : at + size])
    ] + list(lines.finish())

    whole = data.split(b"\n")
    expected = whole[:-1] if not whole[-1] else whole
    assert [line for _, line in found] == [
        line.removeprefix(b"\xef\xbb\xbf") if not at else line for at, line in enumerate(expected)
    ]
    assert [number for number, _ in found] == list(range(1, len(expected) + 1))


def test_a_line_that_is_too_long_is_skipped_without_being_held():
    lines = Lines()

    found = [one for _ in range(50) for one in lines.split(b"x" * (MAX_LINE // 4))]
    assert len(lines._rest) <= MAX_LINE
    found += lines.split(b"\n{}\n")

    assert found == [(1, None), (2, b"{}")]
    with pytest.raises(BadLine, match="longer than"):
        record(None)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe{}", "UTF-8 .byte 1"),
        (b"[1]", "no JSON object"),
        (b"[" * 50_000, "nested too deeply"),
        (b'{"value": NaN}', "NaN is no number"),
        (b'{"value": 1e999}', "beyond"),
        (b'{"value": 1' + b"0" * 400 + b"}", "beyond"),
        (b'{"value": "3"}', "no number for value"),
        (b'{"value": null}', "no number for value"),
        (b'{"source": [], "value": 1}', "for its source"),
        (b'{"source": "", "value": 1}', "0 characters"),
        (b'{"source": "a\\u001b", "value": 1}', "for its source"),
        (b'{"t": "soon", "value": 1}', "ISO 8601"),
        (b'{"t": true, "value": 1}', "ISO 8601"),
        (b'{"t": "2030-01-01T00:00:00.' + b"1" * 9000 + b'", "value": 1}', "ISO 8601"),
        (b'{"values": 3}', "for values"),
    ],
)
def test_a_bad_line_says_what_is_wrong_with_it(line, says):
    sources = gathered([])
    with pytest.raises(BadLine, match=says):
        sources.add(record(line), 0.0)
    assert (sources.waiting, sources.count) == (0, 0)


# --- samples
def gathered(records, plan=None, watched=()):
    sources = Sources(plan or Plan(period=1, **SHORT), watched, 0)
    for one in records:
        sources.add(one, 0.0)
    return sources


def test_time_has_to_grow_within_a_source():
    sources = gathered([{"t": 1, "source": "a", "value": 1}, {"t": 0, "source": "b", "value": 1}])
    for at in (1, 0.5):
        with pytest.raises(BadLine, match="not after the last one of a"):
            sources.add({"t": at, "source": "a", "value": 2}, 0.0)
    sources.add({"t": "2030-01-01T00:00:00", "source": "a", "value": 2}, 0.0)
    with pytest.raises(BadLine, match="not after"):
        sources.add({"t": "2030-01-01T00:00:00Z", "source": "a", "value": 2}, 0.0)
    assert sources.waiting == 3


def test_a_source_has_the_signals_that_are_asked_for():
    watched = [Watched("load < 5 & alarm")]
    records = [{"source": 7, "values": {"value": 1, "load": 2, "alarm": False, "other": 3}}]
    sources = gathered(records, watched=watched)

    [chunk] = sources.cut().chunks
    assert {name: values.tolist() for name, values in chunk.signals.items()} == {
        "value": [1.0], "load": [2.0], "alarm": [-1.0],
    }  # fmt: skip
    assert chunk.source == "7"
    with pytest.raises(BadLine, match="no number for load"):
        sources.add({"source": 7, "value": 1}, 0.0)


def test_there_is_a_limit_to_the_sources_that_are_held(monkeypatch):
    monkeypatch.setattr("workers.streaming.sources.MAX_HELD", 40)  # 8 samples and their times
    sources = gathered([{"source": "a", "value": 1}, {"source": "b", "value": 1}])
    with pytest.raises(BadLine, match="beyond the 2 that are held"):
        sources.add({"source": "c", "value": 1}, 0.0)
    with pytest.raises(BadLine, match="beyond the 2 that are held"):
        sources.add({"source": "a", "value": 1, "t": "2030-01-01"}, 0.0)  # a text is larger
    assert (sources.count, sources.waiting) == (2, 2)


def test_what_monitors_remember_counts_against_the_limit():
    far = [Watched("O[0,50000](value > 5)")]
    plan = Plan(formulas=(far[0].text,))
    sources, elsewhere = Sources(plan, far, 0), Sources(plan, far, 0, monitored=[])
    most = 8 * MAX_HELD // far[0].monitor().memory
    assert 1 < most < 200
    for number in range(most - 1):
        sources.add({"source": str(number), "value": 1}, 0.0)
    with pytest.raises(BadLine, match="that are held"):
        [sources.add({"source": f"more {number}", "value": 1}, 0.0) for number in range(3)]
    for number in range(200):  # whose monitors are in tasks
        elsewhere.add({"source": str(number), "value": 1}, 0.0)


@given(NUMBERS, CUTS)
def test_windows_are_the_same_however_the_samples_arrive(values, cuts):
    sources, found, at = gathered([]), [], 0
    while at < len(values):
        size = cuts[at % len(cuts)]
        for number in range(at, min(at + size, len(values))):
            sources.add({"t": number, "value": values[number]}, 0.0)
        at += size
        [chunk] = sources.cut().chunks
        for start, window in zip(chunk.starts, chunk.cut(8), strict=True):
            first = chunk.first + start
            found.append((chunk.time(first), chunk.time(first + 7), window.tolist()))

    expected = [(s, s + 7, values[s : s + 8]) for s in range(0, len(values) - 7, 3)]
    assert found == expected


def test_no_window_reaches_across_missing_samples():
    sources = gathered([{"value": n} for n in range(7)])
    sources.cut()
    sources.interrupt()
    for n in range(100, 108):
        sources.add({"value": n}, 0.0)

    [chunk] = sources.cut().chunks
    assert (chunk.anew, chunk.first, chunk.starts) == (True, 7, [0])
    assert chunk.cut(8)[0].tolist() == list(range(100, 108))


# --- formulas
def both_ways(plan, watched, values, cuts):
    """What is said here and what a task says, chunk by chunk, and what ends them."""
    here, there = (
        Here(plan, Judge(plan, None), watched),
        {one.text: Watch(one, 0) for one in watched},
    )
    context = max([one.context or 0 for one in watched], default=0)
    sources, at, told, answered = Sources(plan, watched, context), 0, [], []
    while at < len(values):
        for value in values[at : at + cuts[at % len(cuts)]]:
            sources.add({"value": value}, 0.0)
        at += cuts[at % len(cuts)]
        batch = sources.cut()
        here.offer(batch, 0.0)
        [judged] = here.collect(0.0)
        [chunk] = batch.chunks
        payload = {
            "first": chunk.first, "fresh": chunk.fresh, "window": chunk.window,
            "starts": chunk.starts,
            "signals": {name: column.tolist() for name, column in chunk.signals.items()},
        }  # fmt: skip
        answer = json.loads(json.dumps(window_batch(plan.as_dict(), [payload])))
        told.append((judged.turns[0], [one.as_dict() for one in judged.found[0]]))
        turns = []
        for text, (first, numbers) in answer["formulas"][0].items():
            turns += there[text].turns((first, np.array(numbers)))
        answered.append((turns, answer["windows"][0]))
    [rest] = sources.rest()
    told.append([turn for watch in here.watchers.of(rest) for turn in watch.finish(rest)])
    answered.append([turn for watch in there.values() for turn in watch.finish(rest)])
    return told, answered


def finite(parts):
    """Infinities as JSON knows them."""
    return json.loads(repr_json(parts))


def repr_json(parts):
    return json.dumps(parts, default=lambda turn: {
        name: float(np.clip(value, -1e308, 1e308)) if isinstance(value, float) else value
        for name in turn.__slots__ if (value := getattr(turn, name)) is not None
    })  # fmt: skip


@settings(max_examples=40)
@given(NUMBERS, CUTS)
def test_tasks_say_the_same_as_this_process(values, cuts):
    watched = [Watched(text) for text in FORMULAS]
    plan = Plan(period=1, formulas=FORMULAS, **SHORT)

    told, answered = both_ways(plan, watched, values, cuts)

    assert finite(told) == finite(answered)


@settings(max_examples=40)
@given(NUMBERS, CUTS, st.sampled_from(FORMULAS[:5]))
def test_turns_are_where_the_robustness_of_the_whole_changes_sides(values, cuts, text):
    robustness = temporal_logic.robustness(text, {"value": np.array(values)})
    watched = [Watched(text)]
    told, _ = both_ways(Plan(formulas=(text,), **SHORT), watched, values, cuts)

    turns = [turn for turns, _ in told[:-1] for turn in turns] + told[-1]
    below = robustness < 0
    edges = [at for at in range(len(values)) if not at or below[at] != below[at - 1]]
    assert [(turn.position, turn.violated) for turn in turns] == [(e, below[e]) for e in edges]
    assert [turn.robustness for turn in turns] == robustness[edges].tolist()
    assert [turn.lasted for turn in turns[1:]] == np.diff(edges).tolist()


def test_an_endless_formula_is_decided_once():
    watched = [Watched("always(value < 5)"), Watched("eventually(value > 9)")]
    here = Here(Plan(formulas=("x",), **SHORT), Judge(Plan(formulas=("x",)), None), watched)
    sources = Sources(here.plan, watched, 0)
    turns = []
    for value in (1, 6, 7):
        sources.add({"value": value}, 0.0)
        here.offer(sources.cut(), 0.0)
        turns.append([(t.formula, t.violated) for t in here.collect(0)[0].turns[0]])
    [rest] = sources.rest()

    last = [turn for watch in here.watchers.of(rest) for turn in watch.finish(rest)]

    assert turns == [[], [("always(value < 5)", True)], []]
    assert [(turn.formula, turn.violated) for turn in last] == [("eventually(value > 9)", True)]


def test_a_formula_that_looks_far_is_watched_here():
    assert Watched("G[0,100] F[0,20] value > 1").context == 120
    assert Watched("O[0,7] Y value > 1").context == 8
    assert not Watched("G[0,9000] value > 1").travels
    assert not Watched("once(value > 1)").travels
    with pytest.raises(Refused, match="at most"):
        Watched("G[0,200000] value > 1")


# --- windows
def test_a_forecast_seldom_calls_noise_unexpected_and_always_a_leap():
    rng = np.random.default_rng(5)
    for plan in (Plan(period=1), Plan(period=20)):
        wave = np.sin(np.arange(128) * 2 * np.pi / 20) * (plan.period > 1)
        windows = wave + 0.1 * rng.normal(size=(200, 128))
        found = [residual(plan, window) for window in windows]
        assert np.mean(np.array(found) > 1) <= 0.02  # measured: 0.001
        windows[:, 110:] += 3
        assert min(residual(plan, window) for window in windows) > 1


def test_a_constant_past_that_goes_on_is_expected():
    plan = Plan(period=1)
    assert residual(plan, np.full(128, 7.3)) == 0
    assert residual(plan, np.append(np.full(127, 7.3), 7.4)) > 1


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"period": 1, "length": 7},
        {"period": 1, "length": 5000},
        {"period": 1, "step": 129},
        {"period": 60},
        {"formulas": ["p"] * 21},
        {"period": 1, "what": 2},
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(told):
    with pytest.raises(Refused):
        Plan.from_dict(told)


# --- what is left out
def test_the_slowest_stage_loses_windows_first_and_evenly():
    shedder = Shedder(0.1)
    shedder.learn("match", 10, 0.010)
    shedder.learn("forecast", 10, 0.001)
    stages = ["match", "forecast"]

    assert shedder.leave_out(40, stages, 0.0) == {}
    some = shedder.leave_out(100, stages, 0.0)
    assert set(some) == {"match"}
    assert 55 <= len(some["match"]) <= 65
    assert max(np.diff(some["match"])) <= 3
    late = shedder.leave_out(100, stages, 0.049)
    assert (len(late["match"]), len(late["forecast"])) == (100, 90)
    assert {len(places) for places in shedder.leave_out(9, stages, 1.0).values()} == {9}


def test_what_a_window_costs_follows_what_it_has_cost_lately():
    shedder = Shedder(0.1)
    for _ in range(40):
        shedder.learn("match", 1, 0.001)
    shedder.learn("match", 0, 9.0)
    for _ in range(40):
        shedder.learn("match", 10, 0.04)
    assert shedder.costs["match"] == pytest.approx(0.004, rel=0.01)


# --- what is told
@given(st.lists(st.floats(1e-5, 100), min_size=1))
def test_percentiles_are_exact_to_two_per_cent(seconds):
    latencies = Latencies()
    for one in seconds:
        latencies.add(one)
    for share in (0.5, 0.95, 1.0):
        exact = float(np.quantile(seconds, share, method="inverted_cdf"))
        assert exact * 0.999 <= latencies.percentile(share) <= exact * 1.021
    assert Latencies().percentile(0.5) is None


# --- bytes
@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_an_eager_reader_never_lets_the_writer_wait_and_says_when_it_read(pipe):
    begun = time.monotonic()
    with Interruption() as interruption:
        eager = Eager(pipe[0], interruption.awake)
        for _ in range(40):  # ten times what a pipe holds
            os.write(pipe[1], b"x" * 16_384)
        size = 0
        while size < 40 * 16_384:
            if (found := eager.read(1000, 10.0)) is None:
                continue  # it looked around
            at, data = found
            assert begun <= at <= time.monotonic()
            size += len(data)
        eager.close()
        os.write(pipe[1], b"\n")  # the thread ends with its next read
        eager._thread.join(10)
        assert not eager._thread.is_alive()


def test_a_direct_reader_leaves_in_the_pipe_what_it_is_not_asked_for(pipe):
    with Interruption() as interruption:
        direct = Direct(pipe[0], interruption.awake)
        assert direct.read(4, 0.0) is None
        os.write(pipe[1], b"12345678")
        assert direct.read(4, 0.0)[1] == b"1234"
        assert direct.read(9, 0.0)[1] == b"5678"

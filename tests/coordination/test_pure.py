"""Small pure cores: graph, backoff, envelope sizes, identifiers, statements."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordination import ids, sql
from coordination.pipeline.graph import Arrow, find_flaws, sort_topologically, upward_ranks
from coordination.retry import Backoff
from coordination.sizing import ENOUGH, MAX_MEMBERS, SHORT_P95_MS, TARGET_MS, members_for

NAMES = [f"n{number}" for number in range(12)]


@st.composite
def graphs(draw, *, acyclic):
    count = draw(st.integers(1, len(NAMES)))
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    found = draw(st.sets(pairs, max_size=30))
    if acyclic:
        found = {(min(pair), max(pair)) for pair in found if pair[0] != pair[1]}
    return NAMES[:count], [Arrow(NAMES[p], NAMES[c]) for p, c in sorted(found)]


class TestGraph:
    @given(graphs(acyclic=True), st.data())
    def test_ranks_equal_the_naive_longest_path(self, graph, data):
        nodes, arrows = graph
        seconds = {name: data.draw(st.floats(0, 100)) for name in nodes}

        @cache
        def longest(name):
            below = [longest(arrow.child) for arrow in arrows if arrow.parent == name]
            return seconds[name] + max(below, default=0.0)

        assert upward_ranks(arrows, seconds) == {name: longest(name) for name in nodes}

    @given(graphs(acyclic=True))
    def test_an_acyclic_graph_has_no_flaw_and_parents_come_first(self, graph):
        nodes, arrows = graph

        order = sort_topologically(nodes, arrows)

        assert find_flaws(nodes, arrows) == []
        assert sorted(order) == sorted(nodes)
        assert all(order.index(a.parent) < order.index(a.child) for a in arrows)

    @given(graphs(acyclic=False))
    def test_a_cycle_is_told_exactly_where_there_is_one(self, graph):
        nodes, arrows = graph
        flaws = find_flaws(nodes, arrows)

        assert bool(flaws) == (len(sort_topologically(nodes, arrows)) < len(nodes))
        if flaws:
            loop = flaws[0].message.removeprefix("these wait for each other: ").split(" → ")
            assert loop[0] == loop[-1]
            assert all(Arrow(a, b) in arrows for a, b in pairwise(loop))

    def test_ten_thousand_nodes_are_checked_quickly_whatever_is_wrong(self):
        nodes = [f"n{number}" for number in range(10_000)]
        ring = [Arrow(a, b) for a, b in zip(nodes, [*nodes[1:], nodes[0]], strict=True)]
        begun = time.process_time()

        assert len(find_flaws(nodes, ring)) == 1
        assert len(find_flaws(nodes + nodes, [])) == 10_000

        assert time.process_time() - begun < 5  # quadratic took minutes


class TestBackoff:
    @given(st.floats(0, 1e6), st.floats(0, 1e6), st.integers(0, 10_000), st.floats(0, 1))
    def test_a_wait_is_within_its_share_of_the_cap(self, seconds, cap, attempts, share):
        assert 0 <= Backoff(seconds, cap).delay(attempts, share) <= cap * share

    @given(st.integers(1, 20))
    def test_the_longest_wait_doubles(self, attempts):
        policy = Backoff(1.0, 1e9)

        assert policy.delay(attempts + 1, 1.0) == 2 * policy.delay(attempts, 1.0)

    def test_full_jitter_spreads_from_zero(self):
        assert [Backoff(10.0, 300.0).delay(3, share) for share in (0.0, 0.5, 0.999)] == [
            0.0, 20.0, pytest.approx(39.96),
        ]  # fmt: skip


class TestSizes:
    @given(st.lists(st.floats(0, 1000), max_size=50))
    def test_an_envelope_is_bounded_and_carries_about_its_target(self, run_ms):
        members = members_for(run_ms)

        assert 1 <= members <= MAX_MEMBERS
        if members > 1:
            assert len(run_ms) >= ENOUGH
            assert members * sum(run_ms) / len(run_ms) <= TARGET_MS + 1e-6

    @given(st.lists(st.floats(SHORT_P95_MS + 1, 1e6), min_size=1, max_size=20))
    def test_long_tasks_travel_alone(self, run_ms):
        assert members_for(run_ms) == 1

    def test_too_few_are_not_believed_and_tiny_ones_fill_it(self):
        assert members_for([0.1] * (ENOUGH - 1)) == 1
        assert members_for([0.1] * ENOUGH) == MAX_MEMBERS
        assert members_for([1.0] * 94 + [200.0] * 6) == 1  # p95 is long


class TestIds:
    def test_ids_of_a_process_grow_even_across_threads(self):
        made = [[] for _ in range(4)]

        def make(into):
            into.extend(ids.uuid7() for _ in range(2000))

        threads = [threading.Thread(target=make, args=(into,)) for into in made]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

        assert all(into == sorted(into) for into in made)
        assert len({identifier for into in made for identifier in into}) == 8000

    def test_fields_are_those_of_rfc_9562(self):
        before = time.time_ns() // 1_000_000
        identifier = ids.uuid7()
        after = time.time_ns() // 1_000_000

        assert identifier.version == 7
        assert identifier.variant == "specified in RFC 4122"
        # It may run ahead by as many milliseconds as thousands were made at once.
        assert before <= identifier.int >> 80 <= after + 10

    def test_a_clock_that_is_set_back_does_not_repeat(self, monkeypatch):
        first = ids.uuid7()
        monkeypatch.setattr(ids.time, "time_ns", lambda: 0)

        assert ids.uuid7() > first

    @given(st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
    def test_the_first_id_of_a_moment_holds_it(self, moment):
        first = ids.first_uuid7_at(moment)

        assert first.int >> 80 == int(moment.timestamp() * 1000)
        assert first.version == 7


class TestStatements:
    @pytest.mark.parametrize("vendor", ["sqlite", "postgresql"])
    def test_every_macro_is_expanded(self, vendor):
        text = sql._expand(
            "SELECT @now, @after(%(s)s), @after(-%(s)s), @after(x.y), @epoch(t.a), @hex(t.b) "
            "FROM @rows(r, id uuid, v jsonb, n integer), @each(w.c) @lock(t) @skip(t)",
            vendor,
        )

        assert "@" not in text

    def test_rows_keep_json_as_json_and_read_numbers_as_numbers(self, db):
        rows = sql.fetch(
            "SELECT r.* FROM @rows(r, id bigint, v jsonb, t text) ORDER BY r.id",
            {"r": [{"id": 2, "v": {"a": None}, "t": "ü'\"%s"}, {"id": 1, "v": [1.5], "t": None}]},
        )

        assert [(row["id"], sql.parse_json(row["v"]), row["t"]) for row in rows] == [
            (1, [1.5], None),
            (2, {"a": None}, "ü'\"%s"),
        ]

    def test_clocks_agree_and_move_both_ways(self, db):
        row = sql.fetch(
            "SELECT @epoch(m.a) AS now, @epoch(m.b) AS later, @epoch(m.c) AS earlier "
            "FROM (SELECT @now AS a, @after(%(s)s) AS b, @after(-%(s)s) AS c) AS m",
            {"s": 1.5},
        )[0]

        assert row["later"] - row["now"] == pytest.approx(1.5, abs=0.002)
        assert row["now"] - row["earlier"] == pytest.approx(1.5, abs=0.002)
        assert row["now"] == pytest.approx(time.time(), abs=5)

    @pytest.mark.parametrize("seconds", [0.0, 1e-7, 2.5e-05, 1e6])
    def test_tiny_and_large_offsets_are_understood(self, db, seconds):
        row = sql.fetch(
            "SELECT @epoch(m.a) AS now, @epoch(m.b) AS past "
            "FROM (SELECT @now AS a, @after(-%(s)s) AS b) AS m",
            {"s": seconds},
        )[0]

        assert row["now"] - row["past"] == pytest.approx(seconds, abs=0.01)

    def test_only_json_is_bound(self, db):
        with pytest.raises(TypeError, match="set cannot be bound"):
            sql.fetch("SELECT %(x)s", {"x": [{1}]})

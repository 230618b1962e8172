"""What the demo computes: windows, scores, graph, figures, pictures, report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansf_platform import svg
from ansf_platform.accounts.models import Tenant
from coordination import declaration
from coordination.models import Task
from coordination.pipeline.graph import Arrow, find_flaws
from coordination.runs import references_in, submit_run
from dashboard.demo import gantt, graph, handlers, judging, pictures, report
from dashboard.demo.figures import Bar, RunFigures, SwarmFigures, percentile
from dashboard.demo.findings import Finding, Verdict
from dashboard.demo.series import LONGEST, SHORTEST, Series, real_series
from dashboard.demo.telling import Told, as_json
from dashboard.demo.windows import cut, digest, standardise
from tests.architecture.sources import ROOT
from workers.context import GiveUp


def series(samples, title="flow"):
    return Series("series", title, "flow.csv", "", np.asarray(samples, dtype=float))


@given(st.integers(SHORTEST, LONGEST))
def test_windows_cover_a_series_of_any_length(count):
    cutting = cut(series(np.arange(count)))

    last = len(cutting.starts) - 1
    assert cutting.span(0)[0] == 0
    assert cutting.span(last)[1] >= count - 1
    assert 64 <= cutting.length <= 1024
    assert len(cutting.starts) <= 58
    steps = np.diff(cutting.starts)
    assert steps.min() > 0
    assert steps.max() <= cutting.length
    assert all(cutting.apart(index) for index in range(len(cutting.starts)))


def test_windows_apart_share_no_sample():
    cutting = cut(series(np.arange(300)))

    for index in range(len(cutting.starts)):
        mine = set(range(*cutting.span(index)))
        assert all(mine.isdisjoint(range(*cutting.span(j))) for j in cutting.apart(index))


def test_a_long_series_is_averaged_and_nothing_is_left_out():
    cutting = cut(series([5.0] * 20_000 + [9.0]))

    assert cutting.block == 3
    assert cutting.samples.size == 6667
    assert cutting.samples[-1] == pytest.approx(19 / 3)
    assert cutting.samples[0] == pytest.approx(5.0)


@pytest.mark.parametrize("scale", [1e-90, 1.0, 1e99])
def test_standardised_samples_have_mean_0_and_deviation_1_at_any_scale(scale):
    cutting = cut(series(np.sin(np.arange(500)) * scale))

    standard = standardise(cutting.samples, cutting.mean, cutting.deviation)

    assert np.mean(standard) == pytest.approx(0, abs=1e-9)
    assert np.std(standard) == pytest.approx(1)


def test_a_changed_sample_is_noticed():
    samples = standardise([1.0, 2.0, 4.0], 2.0, 1.5)

    assert handlers.verify(samples, digest(samples)) == {"digest": digest(samples)}
    with pytest.raises(GiveUp, match="digest"):
        handlers.verify([*samples[:2], samples[2] + 1e-15], digest(samples))


def test_the_middle_and_the_spread_are_those_of_the_many():
    assert judging.centre_and_spread([1, 2, 3, 4, 1000]) == (3, pytest.approx(1.4826))


def test_one_of_many_equals_is_far_out_and_equals_are_not():
    middle, spread = judging.centre_and_spread([2.0] * 9 + [3.0])

    assert judging.score(3.0, middle, spread) > judging.LIMIT
    assert judging.score(2.0, *judging.centre_and_spread([2.0] * 9)) == 0


def verdict(distance, features=(1.0, 1.1, 0.9, 1.0), kind="STRANGE"):
    usual = {
        "distance": (1.0, 0.1), "feature": (1.0, 0.1), "features": list(features), "kind": "POINT",
    }  # fmt: skip
    return judging.judge(0, distance, kind, usual)


def test_a_window_is_discordant_from_the_limit_on():
    assert not verdict(1.34)["discordant"]
    assert verdict(1.36)["discordant"]


def test_reasons_are_given_for_the_discordant_only():
    assert judging.reasons(verdict(1.0)) == []
    (first, second) = judging.reasons(verdict(2.0))
    assert "2.0 times as far away" in first
    assert "STRANGE" in second
    assert len(judging.reasons(verdict(2.0, features=(9.0,)))) == 3
    assert len(judging.reasons(verdict(2.0, kind="UNKNOWN"))) == 1


def test_every_reference_of_the_graph_has_its_edges_and_nothing_else_has():
    nodes, edges = graph.build([cut(one) for one in real_series()])

    assert find_flaws([n.name for n in nodes], [Arrow(e.parent, e.child) for e in edges]) == []
    groups: dict[str, set[str]] = {}
    for node in nodes:
        groups.setdefault(node.group or node.name, set()).add(node.name)
        groups.setdefault(node.name, {node.name})
    wanted = {
        (parent, node.name)
        for node in nodes
        for target in references_in(node.payload)
        for parent in groups[target]
    }
    assert {(edge.parent, edge.child) for edge in edges} == wanted
    assert len(edges) == len(wanted)


@pytest.mark.django_db
def test_the_graph_is_accepted_by_the_definitions_it_is_made_for():
    tenant = Tenant.objects.get(slug="default")
    for path in (
        ROOT / "examples" / "swarms.yaml",
        Path(graph.__file__).with_name("definitions.yaml"),
    ):
        declaration.apply(tenant, declaration.parse(path.read_text()), actor="test")

    run = submit_run("demo", *graph.build([cut(series(np.sin(np.arange(192) / 5)))]))

    assert run.nodes_total == Task.objects.filter(run=run).count()
    swarms = Task.objects.filter(run=run).values_list("swarm__slug", flat=True)
    assert set(swarms) == {
        "ai-research", "backend", "frontend", "testing", "devops", "security",
    }  # fmt: skip


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_a_value_that_no_more_than_its_share_lies_below(values, share):
    found = percentile(values, share)

    assert found in values
    assert sum(value < found for value in values) <= share * len(values)
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9


def test_no_values_have_no_percentile():
    assert percentile([], 0.5) is None


@given(st.floats(-1e9, 1e9), st.floats(1e-3, 1e9), st.integers(2, 10))
def test_ticks_are_few_and_within_the_range(low, span, about):
    scale = svg.Scale(low, low + span, 0, 100)

    ticks = scale.ticks(about)

    assert len(ticks) <= about * 2 + 1
    slack = span * 1e-6 + abs(low) * 1e-12
    assert all(low - slack <= tick <= low + span + slack for tick in ticks)


def told(title="flow"):
    samples = np.sin(np.arange(400) / 6)
    samples[200:230] = 4
    cutting = cut(series(samples, title))
    verdicts = tuple(
        Verdict(
            index=i, first=cutting.span(i)[0], last=cutting.span(i)[1], nearest=0, nearest_first=0,
            nearest_last=63, distance=1.0, distance_score=5.0 if i == 9 else 0.2,
            feature_score=0.1, kind="POINT", discordant=i == 9, reasons=("it is odd",),
        )
        for i in range(len(cutting.starts))
    )  # fmt: skip
    finding = Finding(cutting, verdicts, 9, len(verdicts), {"POINT": len(verdicts)}, 1.0)
    swarm = SwarmFigures("a", f"{title} swarm", 2, 3, 1.5, 1.0, 2.0, 3.0, 4.0, 0)
    bars = (Bar("a", "agent-1", title, 0.1, 0.2, True), Bar("a", "agent-2", "t", 0.3, 0.3, False))
    return Told(RunFigures(3, 1.0, 3.0, (swarm,), bars), [finding])


def test_the_report_holds_every_name_as_text():
    page = report.render(told("<script>alert(1)</script>"))

    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_report_replaces_an_older_one_whole(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")

    report.write(told(), path)

    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [path]


def test_pictures_name_what_they_show():
    one = told()

    assert "1 of " in pictures.of_series(one.findings[0])
    assert pictures.of_series(one.findings[0]).count("odd-box") == 2
    assert "3 tasks of 1 swarms" in gantt.of_run(one.figures)


def test_a_series_without_discordant_windows_is_told_so():
    calm = told().findings[0]
    quiet = Finding(
        calm.cutting, tuple(v for v in calm.verdicts if not v.discordant), 0, 1, {}, 1.0
    )

    assert quiet.headline.startswith("0 of ")
    assert "no part stands out" in quiet.sentences[0]


def test_the_json_has_a_definition_for_every_figure():
    answer = as_json(told())

    assert set(answer["definitions"]) == {"tasks", "tasks/s", "wait", "run", "p50, p95", "retries"}
    assert answer["series"][0]["windows"] == len(told().findings[0].verdicts)

"""What routing by the learned probability is worth on subjects it has not seen, and what it costs.

The outcomes are a file that is not part of this project: ``--data`` or ``ANSF_BENCH_DATA`` names it
(CSV, also packed: bench, prompt, WEAK_correct, STRONG_correct). The curve of quality over cost is
written as a picture, ``routing.svg`` in the state directory.
"""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from django.conf import settings
from django.utils.safestring import SafeString

from ansf_platform import svg
from benchmarks.figures import Figure, Findings, median
from gateway.pricing import Prices
from gateway.router import Candidate, Needs, Rules, route
from gateway.routing import judging, training
from gateway.routing.judging import Curve
from gateway.routing.sufficiency import Sufficiency
from gateway.routing.training import BadOutcomes, Outcomes

ROUNDS = 5
DECISIONS = 500
PICTURE = "routing.svg"
RATES = ("apgr", "apgr_length", "apgr_random", "cpt50", "cpt80", "calibration_error")
FIGURES = (*RATES, "ms_per_decision", "ms_per_decision_p95")
WIDTH, HEIGHT, EDGE, POINTS = 640, 400, 60, 200
STYLE = (
    "<style>text{font:13px sans-serif;fill:#333}polyline{fill:none;stroke-width:2}"
    ".ours{stroke:#0b6}.length{stroke:#06c}.chance{stroke:#999;stroke-dasharray:4 4}"
    ".axis,.tick{stroke:#666}</style>"
)
MODELS = tuple(
    Candidate(
        f"model-{rank}", f"provider-{rank % 4}", Prices(10**8 * 2**rank, 4 * 10**8 * 2**rank),
        128_000, 8_192, 0.6 + 0.03 * rank, tools=True, json=True,
    )
    for rank in range(12)
)  # fmt: skip


def measure(tasks: int | None, rounds: int | None) -> Findings:
    """Share of the gap recovered, strong calls needed, milliseconds of a decision."""
    del tasks  # the outcomes are a fixed set
    findings = Findings("routing", "manage.py bench routing --json")
    path = os.environ.get("ANSF_BENCH_DATA")
    if not path:
        reason = "neither --data nor ANSF_BENCH_DATA names a file of labelled outcomes"
        findings.absent.update(dict.fromkeys(FIGURES, reason))
        return findings
    try:
        outcomes = training.read_outcomes(Path(path))
        _judge(findings, outcomes)
    except (BadOutcomes, ValueError) as error:
        findings.absent.update(dict.fromkeys(FIGURES, str(error)))
        return findings
    costs = _costs(training.train(outcomes), outcomes.prompts, rounds or ROUNDS)
    note = "features, probability and choice among 12 models, CPU time"
    findings.add("ms_per_decision", median(costs, "ms", note))
    slow = float(np.quantile(costs, 0.95))
    findings.add("ms_per_decision_p95", Figure(slow, "ms", len(costs), 0, note))
    return findings


def _judge(findings: Findings, outcomes: Outcomes) -> None:
    unseen = training.left_out(outcomes)
    lengths = np.array([math.log1p(len(prompt)) for prompt in outcomes.prompts])
    count = len(outcomes.prompts)
    ours, length, chance = (
        judging.curve(ranking, outcomes.weak, outcomes.strong)
        for ranking in (unseen.difficulty, lengths, np.zeros(count))
    )
    told = f"subjects left out; {outcomes.names[0]} and {outcomes.names[1]}"
    error = judging.calibration_error(unseen.cheap_suffices, ~outcomes.insufficient)
    rates = {
        "apgr": (ours.apgr, f"mean share of the quality gap recovered, {told}"),
        "apgr_length": (length.apgr, "the same by the length of the prompt alone"),
        "apgr_random": (chance.apgr, "the same by chance"),
        "cpt50": (ours.calls_for(0.5), "least share of strong calls that recovers half the gap"),
        "cpt80": (ours.calls_for(0.8), "the same for four fifths"),
        "calibration_error": (error, "mean distance of probability and outcome, subjects left out"),
    }
    for name, (value, note) in rates.items():
        findings.add(name, Figure(value, "share", count, 0, note))
    picture = Path(settings.STATE_DIR) / PICTURE
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(draw(ours, length), encoding="utf-8")
    findings.servers["picture"] = str(picture)


def draw(ours: Curve, length: Curve) -> str:
    """Quality over the share of strong calls, which is what cost is linear in."""
    across = svg.Scale(0, 1, EDGE, WIDTH - EDGE / 2)
    low, high = min(ours.weak, ours.strong), max(ours.weak, ours.strong)
    margin = (high - low) / 8
    up = svg.Scale(low - margin, high + margin, HEIGHT - EDGE, EDGE / 2)
    parts = [*_axes(across, up)]
    for found, look in ((length, "length"), (ours, "ours")):
        parts.append(svg.curve(_points(found, across, up), look))
    ends = [(across(0), up(ours.weak)), (across(1), up(ours.strong))]
    parts.append(svg.curve(ends, "chance"))
    told = (f"routed, area {ours.apgr:.3f}", f"by length, area {length.apgr:.3f}", "by chance")
    for row, (text, look) in enumerate(zip(told, ("ours", "length", "chance"), strict=True)):
        y = HEIGHT - EDGE - 70 + 20 * row
        parts.append(svg.curve([(WIDTH - 210, y - 4), (WIDTH - 185, y - 4)], look))
        parts.append(svg.text(WIDTH - 178, y, text))
    whole = svg.picture(WIDTH, HEIGHT, "Quality over the share of calls to the strong model", parts)
    # A file of its own names its vocabulary, and brings its style.
    return whole.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(
        ">", f">{STYLE}", 1
    )


def _axes(across: svg.Scale, up: svg.Scale) -> Sequence[SafeString]:
    corner = across.start, up.start
    parts = [
        svg.line(corner, (across.end, up.start), "axis"),
        svg.line(corner, (across.start, up.end), "axis"),
        svg.text(WIDTH / 2, HEIGHT - 12, "share of calls to the strong model", anchor="middle"),
        svg.text(8, 18, "share of right answers"),
    ]
    for share in across.ticks(5):
        parts.append(svg.line((across(share), up.start), (across(share), up.start + 5), "tick"))
        parts.append(svg.text(across(share), up.start + 20, f"{share:.1f}", anchor="middle"))
    for share in up.ticks(5):
        parts.append(svg.line((across.start - 5, up(share)), (across.start, up(share)), "tick"))
        parts.append(svg.text(across.start - 9, up(share) + 4, f"{share:.2f}", anchor="end"))
    return parts


def _points(found: Curve, across: svg.Scale, up: svg.Scale) -> list[svg.Point]:
    last = len(found.recovered) - 1
    chosen = np.unique(np.linspace(0, last, POINTS).astype(int))
    gap = found.strong - found.weak
    return [
        (across(number / last), up(found.weak + gap * float(found.recovered[number])))
        for number in chosen
    ]


def _costs(model: Sufficiency, prompts: Sequence[str], rounds: int) -> list[float]:
    """CPU milliseconds of each decision; prompts drawn evenly."""
    generator = random.Random(1)
    rules, costs = Rules(call_budget=10**12, quality_floor=0.8, epsilon=0.05), []
    for _ in range(rounds):
        for prompt in generator.sample(prompts, min(DECISIONS, len(prompts))):
            start = time.thread_time()
            needs = Needs(
                tokens_in=len(prompt) // 4,
                max_output=512,
                expected_output=128,
                cheap_suffices=model.probability(prompt),
                cheap_suffices_on_average=model.average,
            )
            route(MODELS, needs, rules, generator.random())
            costs.append((time.thread_time() - start) * 1e3)
    return costs

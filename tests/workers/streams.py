"""What tests of streams share: samples, a feed that tells when it was read, what is written."""

from __future__ import annotations

import json
import math
import random
import sys
import time

from ansf_platform.screen import Screen
from workers.streaming.feed import Interruption
from workers.streaming.report import Report
from workers.streaming.session import Pace, Session
from workers.streaming.sources import Sources

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


def lines_of(said):
    assert said.code == 0, said.err
    *verdicts, summary = [json.loads(line) for line in said.out.splitlines()]
    assert summary["kind"] == "summary"
    return verdicts, summary


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

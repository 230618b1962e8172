"""`manage.py demo` from nothing to a report, as a process; and stopped half-way."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import psutil
import pytest

from ansf_platform.services.probes import wait_until
from tests.architecture.sources import ROOT

pytestmark = [pytest.mark.valkey, pytest.mark.slow, pytest.mark.timeout(300)]

SIZES = {"ai-research": 8, "backend": 6, "frontend": 4, "testing": 6, "devops": 4, "security": 4}
ENDS_S = 240.0


class Page(HTMLParser):
    """What a browser would fetch, what it would run, and whether every element is closed."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.scripts = 0
        self.open: list[str] = []
        self.pictures: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.fetched += [found[name] for name in ("src", "href", "data") if found.get(name)]
        self.scripts += tag == "script" or any(name.startswith("on") for name in found)
        if tag == "svg":
            self.pictures.append(found["aria-label"])
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def environment(state):
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(state),
        "ANSF_STATE_DIR": str(state),
        "NUMBA_CACHE_DIR": str(ROOT / ".ansf" / "kernels"),  # compiled once for all tests
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",  # not the demo's business
        "SECRET_KEY": "x" * 50,
    }


def command(*arguments):
    return (sys.executable, str(ROOT / "manage.py"), "demo", *map(str, arguments))


def run(state, *arguments):
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=ENDS_S,
        check=False,
        env=environment(state),
    )


def left_behind(state):
    """Processes whose environment names a directory of a demo below this state directory."""
    found = []
    for process in psutil.process_iter():
        try:
            given = process.environ().get("ANSF_STATE_DIR", "")
        except psutil.Error:
            continue
        if given.startswith(f"{state}/demo-"):
            found.append(process)
    return found


def test_the_main_job_ends_with_a_table_findings_and_a_report(tmp_path):
    report = tmp_path / "report.html"

    ended = run(tmp_path, "--report", report)

    assert ended.returncode == 0, ended.stderr
    table = ended.stdout.split("\n\n")[0].strip().splitlines()
    assert re.split(r"\s{2,}", table[0])[:4] == ["swarm", "agents", "tasks", "tasks/s"]
    assert len(table) == 1 + len(SIZES) + 1 + 6
    assert "652 tasks in " in ended.stdout
    assert "El Niño" in ended.stdout
    assert f"report: {report}" in ended.stdout
    assert "652/652 tasks" in ended.stderr
    assert left_behind(tmp_path) == []
    assert not list(tmp_path.glob("demo-*"))
    assert (tmp_path / "demo.log").exists()
    page = Page(report.read_text(encoding="utf-8"))
    assert page.open == []
    assert page.fetched == []
    assert page.scripts == 0
    assert len(page.pictures) >= 3


def test_a_series_of_ones_own_is_judged_and_told_as_json(tmp_path):
    random = np.random.default_rng(5)
    samples = np.sin(np.arange(1600) / 8) + 0.05 * random.normal(size=1600)
    samples[900:960] = 0.05 * random.normal(size=60)  # the pump stood still
    file = tmp_path / "pump.csv"
    file.write_text("time,flow\n" + "".join(f"{i},{x}\n" for i, x in enumerate(samples)))

    ended = run(tmp_path, "--csv", file, "--column", "flow", "--json", "--report", tmp_path / "r")

    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert {one["slug"]: one["agents"] for one in told["swarms"]} == SIZES
    assert sum(one["tasks"] for one in told["swarms"]) == told["tasks"]
    for one in told["swarms"]:
        assert one["retries"] == 0
        assert 0 <= one["wait_p50_ms"] <= one["wait_p95_ms"]
        assert 0 <= one["run_p50_ms"] <= one["run_p95_ms"]
    (series,) = told["series"]
    assert series["verified"] == series["windows"]
    assert series["discordant"]
    for window in series["discordant"]:
        assert window["first"] <= 960
        assert window["last"] >= 900
        assert window["reasons"]


def test_an_interrupt_stops_everything_and_leaves_nothing(tmp_path):
    with subprocess.Popen(
        command("--report", tmp_path / "report.html"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(tmp_path),
    ) as process:
        assert wait_until(lambda: len(left_behind(tmp_path)) > 4, 60)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)

    assert process.returncode == 130
    assert b"demo: interrupted" in output
    assert b"Traceback" not in output
    assert left_behind(tmp_path) == []
    assert not list(tmp_path.glob("demo-*"))
    assert not (tmp_path / "report.html").exists()


def test_a_killed_demo_leaves_no_process(tmp_path):
    with subprocess.Popen(
        command("--report", tmp_path / "report.html"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(tmp_path),
    ) as process:
        assert wait_until(lambda: len(left_behind(tmp_path)) > 4, 60)
        process.kill()

    assert wait_until(lambda: left_behind(tmp_path) == [], 15)

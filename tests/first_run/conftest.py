"""A system started by `manage.py up` as a user starts it: a process, its output, its end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from ansf_platform.services.ports import free_ports
from ansf_platform.services.probes import http_answers, wait_until
from tests.architecture.sources import ROOT

START_S = 60.0
STOP_S = 40.0
CLEAN = ("PATH", "HOME", "LANG", "TMPDIR")


@dataclass
class Up:
    """One `up`; its processes are found by parentage, never by name."""

    state: Path
    arguments: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    port: int = 0
    flower_port: int = 0
    process: subprocess.Popen | None = None

    def start(self) -> Up:
        self.state.mkdir(parents=True, exist_ok=True)
        with self.out_path.open("w") as out, self.err_path.open("w") as err:
            self.process = subprocess.Popen(
                self.command("--port", str(self.port), "--flower-port", str(self.flower_port)),
                stdout=out,
                stderr=err,
                env=self.environment,
            )
        return self

    def command(self, *more: str) -> tuple[str, ...]:
        return (sys.executable, str(ROOT / "manage.py"), "up", *self.arguments, *more)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in CLEAN if name in os.environ}
        cache = str(ROOT / ".ansf" / "kernels")  # compiled once for all tests
        return {**kept, "ANSF_STATE_DIR": str(self.state), "NUMBA_CACHE_DIR": cache, **self.env}

    @property
    def out_path(self) -> Path:
        return self.state.parent / f"{self.state.name}.out"

    @property
    def err_path(self) -> Path:
        return self.state.parent / f"{self.state.name}.err"

    @property
    def out(self) -> str:
        return self.out_path.read_text()

    @property
    def err(self) -> str:
        return self.err_path.read_text()

    @property
    def told(self) -> dict[str, str]:
        return json.loads((self.state / "up.json").read_text())["told"]

    @property
    def url(self) -> str:
        return self.told["dashboard"]

    def await_banner(self) -> Up:
        """Return when the whole banner is out, which means that web answers."""
        done = lambda: "Ctrl-C" in self.out or self.process.poll() is not None  # noqa: E731
        assert wait_until(done, START_S), self.err
        assert self.process.poll() is None, self.err
        return self

    def await_word(self, word: str) -> None:
        assert wait_until(lambda: word in self.err, START_S), self.err

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def children(self) -> dict[str, psutil.Process]:
        """The processes under supervision by what they are."""
        named = {}
        for child in psutil.Process(self.process.pid).children():
            line = " ".join(child.cmdline())
            for name, mark in MARKS.items():
                if mark in line:
                    named[name] = child
        return named

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_S)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


MARKS = {
    "web": "uvicorn",
    "cpu-worker": "worker --pool cpu",
    "io-worker": "worker --pool io",
    "coordinator": "manage.py coordinate",
    "watch": "manage.py watch",
    "flower": "celery --quiet",
    "valkey": "valkey",
}


def all_gone(family: list[psutil.Process], deadline_s: float = 15.0) -> list[psutil.Process]:
    """Those still alive at the deadline."""
    return psutil.wait_procs(family, deadline_s)[1]


def await_children(up: Up, count: int) -> dict[str, psutil.Process]:
    """Everything under supervision, once launchers have become what they launch."""
    assert wait_until(lambda: len(up.children()) >= count, START_S), up.err
    return up.children()


def ended_in_order(members: dict[str, psutil.Process], deadline_s: float = STOP_S) -> list[str]:
    """Names in the order in which their processes ended."""
    left, order = dict(members), []
    give_up = time.monotonic() + deadline_s
    while left and time.monotonic() < give_up:
        for name, process in list(left.items()):
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                order.append(name)
                del left[name]
        time.sleep(0.005)  # the order is what is looked at, not how long it takes
    return order


def password_in(banner: str) -> str:
    return re.search(r"admin / (\S+) +\(shown once", banner).group(1)


@pytest.fixture
def make_up(tmp_path):
    """Start systems that end with the test."""
    started: list[Up] = []

    def make(*arguments: str, env: dict[str, str] | None = None, **options) -> Up:
        port, flower_port = free_ports(2)
        options = {"port": port, "flower_port": flower_port, **options}
        up = Up(tmp_path / "state", arguments, env or {}, **options)
        started.append(up)
        return up.start()

    yield make
    for up in started:
        up.end()


@pytest.fixture(scope="module")
def shared_up(tmp_path_factory):
    """One running system for tests that only look."""
    port, flower_port = free_ports(2)
    state = tmp_path_factory.mktemp("up") / "state"
    up = Up(state, ("--cpu", "1", "--io", "2"), port=port, flower_port=flower_port)
    up.start()
    try:
        yield up.await_banner()
    finally:
        up.end()


def answers(url: str) -> bool:
    return wait_until(lambda: http_answers(url), START_S)

"""A stream judged in one process: how fast it can be read, and how soon verdicts come.

The rate is that of a file. For the latency, a pipe gets 10 000 samples a second whatever comes
back: each sample's time is when it was due, so a writer that is made to wait counts, and both
pipes count. One of the formula's and one of the pattern memory's answers belong to every window.
"""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from ansf_platform.services.process import Launch, run_to_end
from benchmarks.figures import Figure, Findings, median, percentile
from benchmarks.stack import ROOT

SAMPLES, ROUNDS = 200_000, 3
RATE = 10_000
"""Samples a second into the pipe."""
PACED_SECONDS = 10
SOURCES, WINDOW, STEP = 10, 128, 32
KNOWN = 1000
"""Patterns in memory."""
FORMULA = "always[0:10](value < 8)"
_TICK = 0.001
_WARM_UP = 4 * WINDOW * SOURCES
_SECONDS = 300.0


def measure(tasks: int | None, rounds: int | None) -> Findings:
    """`tasks` samples of a file (200 000), `rounds` times, then ten seconds of a pipe."""
    findings = Findings("stream", "manage.py bench stream --json")
    count = tasks or SAMPLES
    with tempfile.TemporaryDirectory(prefix="ansf-bench-") as directory:
        home = _Home(Path(directory))
        home.remember()
        (home.path / "samples.ndjson").write_bytes(b"".join(lines(count)))
        told = [home.stream("samples.ndjson") for _ in range(rounds or ROUNDS)]
        waits = sorted(_paced(home, min(count, RATE * PACED_SECONDS)))
    note = (
        f"a file of {count} samples: {KNOWN} patterns, one formula, windows of {WINDOW} by {STEP}"
    )
    findings.add("samples_per_s", median([one["samples_per_s"] for one in told], "1/s", note))
    note = f"a pipe with {RATE} samples a second, from when a window was complete to its verdict"
    for name, share in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)):
        value = 1000 * percentile(waits, share)
        findings.add(name, Figure(value, "ms", len(waits), note=note))
    return findings


def lines(count: int) -> Iterator[bytes]:
    """Noisy waves of ten sources in turn."""
    rng = random.Random(1)
    for number in range(count):
        n, source = divmod(number, SOURCES)
        value = 3 + math.sin(n / (5 + source)) + 0.1 * rng.gauss(0, 1)
        yield b'{"t": %d, "source": "s%d", "value": %.4f}\n' % (n, source, value)


class _Home:
    """A system without servers: a database, and the commands of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environment: Mapping[str, str] = {
            "NUMBA_CACHE_DIR": str(ROOT / ".ansf" / "kernels"),
            **os.environ,
            "ANSF_STATE_DIR": str(path),
            "DATABASE_URL": f"sqlite:///{path / 'ansf.sqlite3'}",
            "SECRET_KEY": "only-for-measuring",
            "OMP_NUM_THREADS": "1",
        }

    def command(self, *arguments: str) -> tuple[str, ...]:
        return (sys.executable, str(ROOT / "manage.py"), *arguments)

    def run(self, *arguments: str) -> str:
        """What a command prints. Raises RuntimeError."""
        launch = Launch(self.command(*arguments), env=self.environment, cwd=self.path)
        code, output = run_to_end(launch, _SECONDS)
        if code:
            raise RuntimeError(f"manage.py {' '.join(arguments)} ended with {code}:\n{output}")
        return output

    def remember(self) -> None:
        """A namespace with windows of the same waves."""
        self.run("migrate", "--verbosity=0")
        self.run("patterns", "namespaces", "--create", "waves", "--encoder", "minirocket-384",
                 "--no-dedup")  # fmt: skip
        series: dict[str, list[float]] = {}
        with (self.path / "known.ndjson").open("w") as file:
            for line in lines(KNOWN * WINDOW):
                told = json.loads(line)
                held = series.setdefault(told["source"], [])
                held.append(told["value"])
                if len(held) == WINDOW:
                    print(json.dumps({"series": held}), file=file)
                    held.clear()
        self.run("patterns", "import", "waves", "known.ndjson")

    def arguments(self, file: str) -> tuple[str, ...]:
        what = ("--namespace", "waves", "--formula", FORMULA)
        sizes = ("--window", str(WINDOW), "--step", str(STEP))
        return ("stream", file, "--local", *what, *sizes)

    def stream(self, file: str) -> dict[str, Any]:
        """The summary of a file."""
        told = [
            line for line in self.run(*self.arguments(file)).splitlines() if '"summary"' in line
        ]
        summary: dict[str, Any] = json.loads(told[-1])
        return summary


def _paced(home: _Home, count: int) -> list[float]:
    """Seconds from a window's last sample, when that was due, to its verdict."""
    process = subprocess.Popen(
        home.command(*home.arguments("-")), env=dict(home.environment), cwd=home.path,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None  # noqa: S101 - asked for
    assert process.stdout is not None  # noqa: S101 - the same
    seen: list[tuple[float, bytes]] = []
    warm = threading.Event()
    reader = threading.Thread(target=_read, args=(process.stdout, seen, warm), daemon=True)
    reader.start()
    with process.stdin as pipe:
        begun = _write(pipe, list(lines(_WARM_UP + count)), warm)
    reader.join(_SECONDS)
    process.wait(_SECONDS)
    return [
        wait for at, line in seen
        if (wait := _wait(at, json.loads(line), begun)) is not None
    ]  # fmt: skip


def _write(pipe: IO[bytes], made: list[bytes], warm: threading.Event) -> float:
    """Warm up, then write each sample when it is due; when the first of those was."""
    pipe.write(b"".join(made[:_WARM_UP]))
    pipe.flush()
    if not warm.wait(_SECONDS):
        raise TimeoutError(f"no verdict within {_SECONDS:g} s")
    time.sleep(0.5)
    begun, done = time.monotonic(), _WARM_UP
    while done < len(made):
        due = _WARM_UP + int((time.monotonic() - begun) * RATE)
        if due > done:
            pipe.write(b"".join(made[done:due]))
            pipe.flush()
            done = due
        time.sleep(_TICK)
    return begun


def _read(pipe: IO[bytes], seen: list[tuple[float, bytes]], warm: threading.Event) -> None:
    for line in pipe:
        seen.append((time.monotonic(), line))
        warm.set()


def _wait(at: float, line: dict[str, Any], begun: float) -> float | None:
    if line["kind"] != "window":
        return None
    number = line["last"] * SOURCES + int(line["source"][1:]) - _WARM_UP
    return at - (begun + number / RATE) if number >= 0 else None

"""aeon as a peer: driven over a pipe in an environment of its own, which `make oracle` makes."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

from benchmarks.racing import PeerMissing

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".ansf" / "peers" / "aeon" / "bin" / "python"
PATIENCE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Request:
    """A call of `aeon.distances`, and how often it is repeated to be timed."""

    function: str
    x: list[float]
    y: list[float]
    arguments: dict[str, Any] = field(default_factory=dict)
    repeats: int = 0


def value(request: Request) -> float:
    """What aeon answers. Raises PeerMissing."""
    return _ask(request)["value"]


def seconds(request: Request) -> float:
    """Mean seconds of a call, timed inside aeon's process. Raises PeerMissing."""
    return _ask(request)["seconds"]


def present() -> bool:
    """Whether the environment was made."""
    return PYTHON.exists()


def _ask(request: Request) -> dict[str, float]:
    worker = _worker()
    if worker.stdin is None or worker.stdout is None:
        raise PeerMissing("aeon's process has no pipes")
    try:
        worker.stdin.write(json.dumps(asdict(request)) + "\n")
        worker.stdin.flush()
        line = worker.stdout.readline()
    except BrokenPipeError:
        line = ""
    if not line:
        raise PeerMissing(f"aeon's process ended; run {PYTHON} -c 'import aeon' to see why")
    return cast("dict[str, float]", json.loads(line))


@cache
def _worker() -> subprocess.Popen[str]:
    if not present():
        raise PeerMissing("aeon's environment is not there; `make oracle` makes it")
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    worker = subprocess.Popen(
        [str(PYTHON), "-P", "-W", "ignore", str(ROOT / "benchmarks" / "aeon_worker.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **one_thread, "NUMBA_CACHE_DIR": str(PYTHON.parents[1] / "numba")},
    )
    atexit.register(_end, worker)
    return worker


def _end(worker: subprocess.Popen[str]) -> None:
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            with suppress(OSError):  # it may have ended with a request unread
                pipe.close()
    try:
        worker.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()

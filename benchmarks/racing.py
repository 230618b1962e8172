"""Kernels against peers: cases as data, timed in turn on one thread, compared by ratios.

A case names its figure. With a peer it is the peer's seconds per call over ours, so larger is
better (`<kernel>_vs_<peer>`); without one it is our own time, in `unit`, for each of `per` items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from timeit import default_timer

from threadpoolctl import threadpool_limits

from benchmarks.figures import Findings, median

ROUNDS = 7
SHORTEST_SECONDS = 0.005
"""What is faster is repeated within a round until it takes about this long."""

MOST_REPEATS = 1000

Call = Callable[[], object]
UNITS = {"s": 1.0, "ms": 1e3, "µs": 1e6, "ns": 1e9}


@dataclass(frozen=True, slots=True)
class Race:
    """What is timed: our call and, unless only our time counts, the peer's."""

    ours: Call
    peer: Call | None = None
    peer_seconds: Callable[[], float] | None = None
    """Seconds per call of a peer that runs, and is timed, in a process of its own."""


class PeerMissing(Exception):
    """Raised by `prepare` of a case whose peer is not there; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Case:
    """One figure. `prepare` makes input and calls; it imports the peer (`needs`) by name."""

    name: str
    prepare: Callable[[], Race]
    needs: tuple[str, ...] = ()
    """Distributions that must be installed; without one the case is left out, and said so."""
    unit: str = "ms"
    per: int = 1
    note: str = ""
    rounds: int = ROUNDS


def race(cases: Iterable[Case], findings: Findings, rounds: int | None) -> None:
    """Add every case's figure; without its peer it is absent, with the reason."""
    with threadpool_limits(limits=1):
        for case in cases:
            try:
                findings.servers.update({name: _version(name) for name in case.needs})
                _time(case, findings, rounds or case.rounds)
            except PeerMissing as missing:
                findings.absent[case.name] = str(missing)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        raise PeerMissing(f"{name} is not installed; `make setup-dev` installs it") from None


def _time(case: Case, findings: Findings, rounds: int) -> None:
    """One call of each unmeasured (it may compile), then A B A B …; the median of the rounds."""
    calls = case.prepare()
    ours = _repeated(calls.ours)
    peer = calls.peer_seconds or (_repeated(calls.peer) if calls.peer else None)
    if peer is None:
        times = [ours() / case.per * UNITS[case.unit] for _ in range(rounds)]
        findings.add(case.name, median(times, case.unit, case.note))
        return
    ratios = []
    for _ in range(rounds):
        mine = ours()
        ratios.append(peer() / mine)
    findings.add(case.name, median(ratios, "×", case.note))


def _repeated(call: Call) -> Callable[[], float]:
    """Seconds per call, averaged over as many calls as a measurable time holds."""
    call()
    once = _seconds(call, 1)
    repeats = max(1, min(MOST_REPEATS, int(SHORTEST_SECONDS / max(once, 1e-9))))
    return lambda: _seconds(call, repeats) / repeats


def _seconds(call: Call, repeats: int) -> float:
    begun = default_timer()
    for _ in range(repeats):
        call()
    return default_timer() - begun

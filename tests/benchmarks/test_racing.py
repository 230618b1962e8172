"""Races tell ratios, and leave no key out: what could not be raced is null, with the reason."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks import aeon_peer
from benchmarks.figures import Findings
from benchmarks.racing import Case, PeerMissing, Race, race


def raced(*cases):
    findings = Findings("kernels", "none")
    race(cases, findings, 3)
    return json.loads(json.dumps(findings.as_dict()))


def test_a_peer_that_takes_ten_times_as_long_is_ten_times_slower():
    case = Case("a_vs_b", lambda: Race(lambda: sum(range(1000)), lambda: sum(range(10_000))))

    assert raced(case)["a_vs_b"] > 3


def test_a_peer_in_its_own_process_tells_its_own_time():
    case = Case("a_vs_b", lambda: Race(lambda: sum(range(1000)), peer_seconds=lambda: 60.0))

    assert raced(case)["a_vs_b"] > 1000


def test_a_missing_peer_is_null_with_a_reason():
    def prepare():
        raise PeerMissing("it is on holiday")

    told = raced(Case("a_vs_b", prepare), Case("a_vs_c", prepare, ("no-such-distribution",)))

    assert told["a_vs_b"] is None
    assert told["a_vs_c"] is None
    assert told["absent"]["a_vs_b"] == "it is on holiday"
    assert "no-such-distribution is not installed" in told["absent"]["a_vs_c"]


@pytest.fixture
def worker(monkeypatch):
    aeon_peer._worker.cache_clear()
    yield monkeypatch
    aeon_peer._worker.cache_clear()


def test_without_its_environment_aeon_is_missing(worker, tmp_path):
    worker.setattr(aeon_peer, "PYTHON", tmp_path / "bin" / "python")

    assert not aeon_peer.present()
    with pytest.raises(PeerMissing, match="make oracle"):
        aeon_peer.seconds(aeon_peer.Request("dtw_distance", [1.0], [2.0]))


def test_an_environment_without_aeon_is_a_missing_peer(worker, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "python").symlink_to(sys.executable)
    worker.setattr(aeon_peer, "PYTHON", folder / "python")

    with pytest.raises(PeerMissing, match="ended"):
        aeon_peer.seconds(aeon_peer.Request("dtw_distance", [1.0], [2.0]))

    aeon_peer._end(aeon_peer._worker())

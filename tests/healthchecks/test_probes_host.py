from __future__ import annotations

import psutil
import pytest
from django.utils import timezone

from healthchecks.monitor import State
from healthchecks.probes import measure
from healthchecks.probes.host import memory_in_use


def look(check):
    return measure(check, timezone.now())


@pytest.mark.parametrize(
    ("limits", "state"),
    [
        ({"degraded_mb": 0, "failed_mb": 0}, State.OK),
        ({"degraded_mb": 1e12, "failed_mb": 0}, State.DEGRADED),
        ({"degraded_mb": 1e12, "failed_mb": 1e12}, State.FAILED),
    ],
)
def test_free_disk_is_judged_by_the_limits(unsaved, tmp_path, limits, state):
    found = look(unsaved("disk", str(tmp_path), params=limits))

    assert found.state is state
    assert found.value > 0


def test_a_directory_that_does_not_exist_yet_is_measured_where_it_will_be(unsaved, tmp_path):
    found = look(unsaved("disk", str(tmp_path / "not" / "yet")))

    assert found.value > 0


def test_memory_is_measured_in_percent(unsaved):
    found = look(unsaved("memory", params={"degraded_percent": 100, "failed_percent": 100}))

    assert found.state is State.OK
    assert 0 < found.value <= 100


@pytest.mark.parametrize(
    ("used", "limit", "stat", "cache"),
    [
        ("memory.current", "memory.max", "memory.stat", "inactive_file"),
        (
            "memory/memory.usage_in_bytes",
            "memory/memory.limit_in_bytes",
            "memory/memory.stat",
            "total_inactive_file",
        ),
    ],
)
def test_a_containers_limit_counts_and_reclaimable_cache_does_not(
    tmp_path, used, limit, stat, cache
):
    (tmp_path / "memory").mkdir()
    (tmp_path / used).write_text("600\n")
    (tmp_path / limit).write_text("1000\n")
    (tmp_path / stat).write_text(f"anon 5\n{cache} 100\n")

    assert memory_in_use(tmp_path) == ("container", 50.0)


@pytest.mark.parametrize("limit", ["max", str(2**63 - 4096)])
def test_without_a_containers_limit_the_machine_counts(tmp_path, limit):
    (tmp_path / "memory.current").write_text("600\n")
    (tmp_path / "memory.max").write_text(f"{limit}\n")

    where, percent = memory_in_use(tmp_path)

    assert where == "machine"
    assert abs(percent - psutil.virtual_memory().percent) < 50

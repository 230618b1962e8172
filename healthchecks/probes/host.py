"""Probes of the machine: free disk under the state directory, memory in use."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings

from healthchecks.probes.measurement import (
    Measurement,
    Probe,
    Subject,
    TargetInvalid,
    above,
    below,
    settings_of,
    threshold,
)

MIB = 2**20
CGROUP = Path("/sys/fs/cgroup")
# (used, limit, file with the reclaimable part), version 2 before version 1
CGROUP_FILES = (
    ("memory.current", "memory.max", "memory.stat", "inactive_file"),
    (
        "memory/memory.usage_in_bytes",
        "memory/memory.limit_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)

DISK_PARAMS: Mapping[str, Any] = {
    "degraded_mb": threshold(1024, "Degraded when less is free, in MiB."),
    "failed_mb": threshold(256, "Failed when less is free, in MiB."),
}
MEMORY_PARAMS: Mapping[str, Any] = {
    "degraded_percent": threshold(85, "Degraded when more is in use."),
    "failed_percent": threshold(95, "Failed when more is in use."),
}


def _validate_directory(target: str) -> None:
    if target and not Path(target).is_absolute():
        raise TargetInvalid("use an absolute path of a directory, or leave it empty")


def measure_disk(check: Subject, _now: datetime) -> Measurement:
    """Free space of the file system that holds the target (default: the state directory)."""
    limits = settings_of(check, DISK_PARAMS)
    path = Path(check.target or settings.STATE_DIR)
    free_mb = shutil.disk_usage(_existing(path)).free / MIB
    state = below(free_mb, limits["degraded_mb"], limits["failed_mb"])
    return Measurement(
        state,
        f"{free_mb:,.0f} MiB free",
        free_mb,
        "MiB",
        "free space there, shorten ANSF_RETENTION_DAYS, or move ANSF_STATE_DIR",
    )


def _existing(path: Path) -> Path:
    """The path or its nearest existing parent: before the first `up` there is no state yet."""
    return next(p for p in (path, *path.parents) if p.exists())


def measure_memory(check: Subject, _now: datetime) -> Measurement:
    """Memory in use, of the container where there is a limit, else of the machine."""
    limits = settings_of(check, MEMORY_PARAMS)
    where, percent = memory_in_use(CGROUP)
    return Measurement(
        above(percent, limits["degraded_percent"], limits["failed_percent"]),
        f"{percent:.0f} % of the {where}'s memory in use",
        percent,
        "%",
        "lower the concurrency of the workers or give the machine more memory",
    )


def memory_in_use(cgroup: Path) -> tuple[str, float]:
    """Whose memory counts ("container" or "machine") and the percentage in use."""
    machine = psutil.virtual_memory()
    for used_file, limit_file, stat_file, reclaimable in CGROUP_FILES:
        used, limit = _number(cgroup / used_file), _number(cgroup / limit_file)
        # Version 1 says "no limit" with a number near 2**63, version 2 with the word "max".
        if used is not None and limit and limit <= machine.total:
            return "container", 100 * (used - _stat(cgroup / stat_file, reclaimable)) / limit
    return "machine", float(machine.percent)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _stat(path: Path, name: str) -> int:
    """One line of memory.stat; page cache that the kernel can drop is not in use."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)


DISK = Probe(measure_disk, "free disk space", DISK_PARAMS, _validate_directory)
MEMORY = Probe(measure_memory, "memory in use", MEMORY_PARAMS)

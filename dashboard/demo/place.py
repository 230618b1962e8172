"""Where a demo runs: a state directory of its own, which settings must name from the start."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from django.conf import settings

from ansf_platform.supervisor import AlreadyRunning, RunFile

_PREFIX = "demo-"
_NAME = "demo"
_LEFT_BEHIND_S = 3600.0
# What a person set for their own system must not reach the demo's.
_FOREIGN = (
    *("DATABASE_URL", "BROKER_URL", "REDIS_URL", "SECRET_KEY", "STATIC_ROOT"),
    *("ANSF_APPS", "ANSF_HANDLERS", "ANSF_BLOB_DIR", "ANSF_BEHIND_TLS"),
)


def begin_again() -> NoReturn:
    """Become this same command with a new state directory: settings are read only once."""
    around = Path(settings.STATE_DIR).resolve()
    around.mkdir(parents=True, exist_ok=True, mode=0o700)
    _tidy(around)
    directory = tempfile.mkdtemp(prefix=_PREFIX, dir=around)
    sys.stdout.flush()
    sys.stderr.flush()
    argv = [*sys.orig_argv, "--state-dir", directory]
    os.execve(sys.executable, argv, _environment(Path(directory)))  # noqa: S606 - no shell is meant


def claim(directory: Path) -> RunFile:
    """Own the directory, so that no other demo tidies it away."""
    return RunFile(directory, _NAME).claim()


def remove(directory: Path) -> None:
    """Delete the directory with everything in it."""
    shutil.rmtree(directory, ignore_errors=True)


def log_path(directory: Path) -> Path:
    """Where the lines of all processes go: it stays when the directory is gone."""
    return directory.parent / "demo.log"


def has_compiled_kernels() -> bool:
    """Whether a worker of the demo will find machine code instead of making it."""
    return any(Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*.nbi"))


def _environment(directory: Path) -> Mapping[str, str]:
    hidden = {name for foreign in _FOREIGN for name in (foreign, f"{foreign}_FILE")}
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    env.setdefault("NUMBA_CACHE_DIR", str(directory.parent / "kernels"))
    return {**env, "ANSF_STATE_DIR": str(directory), "DEBUG": "1"}


def _tidy(around: Path) -> None:
    """Remove the directories of demos that were killed."""
    for directory in around.glob(f"{_PREFIX}*"):
        try:
            if time.time() - directory.stat().st_mtime < _LEFT_BEHIND_S:
                continue  # perhaps one that is about to claim it
            with RunFile(directory, _NAME).claim():
                pass
        except (AlreadyRunning, OSError):
            continue
        remove(directory)

"""The image: pinned packages, an ordinary user, nothing secret, nothing left out."""

from __future__ import annotations

import fnmatch
import importlib.util
import json
import re
import shlex
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, tracked
from tests.environment import variables

SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY|CREDENTIAL", re.IGNORECASE)
# Read by Python, pip and the libraries for numerics when they start.
OF_LIBRARIES = {
    "PATH",
    "PYTHONUNBUFFERED",
    "PIP_DISABLE_PIP_VERSION_CHECK",
    "PIP_NO_CACHE_DIR",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
}


def instructions() -> list[tuple[str, str]]:
    """Each instruction with its arguments on one line."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    joined = text.replace("\\\n", " ").splitlines()
    return [
        (head, rest.strip()) for head, _, rest in (line.partition(" ") for line in joined) if head
    ]


def of(kind: str) -> list[str]:
    return [rest for head, rest in instructions() if head == kind]


def environment() -> dict[str, str]:
    return dict(word.split("=", 1) for rest in of("ENV") for word in shlex.split(rest))


def ignored(path: str) -> bool:
    """Whether .dockerignore leaves a file out; patterns without a slash mean the top directory."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    steps = ["/".join(path.split("/")[: n + 1]) for n in range(path.count("/") + 1)]
    return any(
        fnmatch.fnmatchcase(step.rsplit("/", 1)[-1], pattern.removeprefix("**/"))
        if pattern.startswith("**/")
        else step.count("/") == pattern.count("/") and fnmatch.fnmatchcase(step, pattern)
        for step in steps
        for pattern in patterns
    )


def test_it_runs_as_an_ordinary_user():
    kinds = [head for head, _ in instructions()]
    user = of("USER")[-1]

    assert user not in {"root", "0"}
    assert f" {user} " in " ".join(of("RUN"))
    assert "CMD" in kinds[kinds.index("USER") :]


def test_it_installs_the_pins_and_nothing_else():
    installed = [rest for rest in of("RUN") if "pip install" in rest]

    assert len(installed) == 1
    assert installed[0].endswith("pip install --requirement /tmp/requirements.txt")


def test_nothing_secret_is_built_in():
    assert [name for name in environment() if SECRET.search(name)] == []
    assert of("ARG") == []


def test_every_variable_it_sets_is_read():
    assert set(environment()) - OF_LIBRARIES - variables() == set()


def test_its_images_name_their_version():
    images = [rest.split()[0] for rest in of("FROM")]

    assert all(re.fullmatch(r"python:3\.1[123]-slim", image) for image in images)


def test_it_starts_the_application_where_everybody_may_reach_it():
    words = json.loads(of("CMD")[0])

    assert words[0] == "uvicorn"
    module, _, name = words[1].partition(":")
    source = Path(importlib.util.find_spec(module).origin).read_text(encoding="utf-8")
    assert f"\n{name} = " in source
    assert words[words.index("--host") + 1] == "0.0.0.0"  # noqa: S104 - inside the container
    assert words[words.index("--port") + 1] == "8053"


def test_what_it_copies_is_there():
    for rest in of("COPY"):
        words = rest.split()
        if not words[0].startswith("--from"):
            assert all((ROOT / word).exists() for word in words[:-1])


def test_everything_that_runs_is_copied():
    needed = {
        str(path)
        for path in tracked()
        if path.suffix in {".py", ".html", ".css", ".js", ".lua", ".sql", ".json", ".yaml"}
        and path.parts[0] not in {"tests", "docs", "scripts"}
    }

    assert {path for path in needed if ignored(path)} == set()
    assert not ignored("requirements.txt")


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".env.production",
        ".git/config",
        ".ansf/secret-key",
        ".venv/bin/python",
        "tests/conftest.py",
        "kernels/__pycache__/dtw.nbi",
        "server.pem",
    ],
)
def test_secrets_data_and_tests_stay_outside(path):
    assert ignored(path)

"""No file mentions one developer's machine, or where packages come from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.architecture.sources import texts

if TYPE_CHECKING:
    from pathlib import Path

# Home and working directories of a person or a build machine, on any system.
HOMES = ("home", "root", "Users", "work", "workspace")
MACHINE = re.compile(
    r"(?<![\w.}~*<-])/(?:" + "|".join(HOMES) + r")(?=/\w)" + r"|\b[A-Z]:\\+Users\\",
)
# Files about a container, where the path is part of the image.
CONTAINER = frozenset({"Dockerfile", "docker-compose.yml", ".dockerignore"})

# Joined here, so that this file passes its own rule.
HOSTS = ("py" + "pi", "python" + "hosted", "npm" + "js", "ghcr" + r"\.io", "quay" + r"\.io")
OPTIONS = ("index" + "-url", "extra-index" + "-url", "find" + "-links", "trusted" + "-host")
REGISTRY = re.compile(
    r"\b(?:" + "|".join(HOSTS) + r")\b|(?<![\w-])--(?:" + "|".join(OPTIONS) + r")\b", re.IGNORECASE
)


def mentions(pattern: re.Pattern[str], path: Path, text: str) -> list[str]:
    return [
        f"{path}:{number} {found.group()}"
        for number, line in enumerate(text.splitlines(), start=1)
        if (found := pattern.search(line))
    ]


def test_no_file_mentions_a_path_of_somebodys_machine():
    offences = [
        offence
        for path, text in texts()
        if path.name not in CONTAINER
        for offence in mentions(MACHINE, path, text)
    ]

    assert offences == []


def test_no_file_mentions_a_package_registry():
    offences = [offence for path, text in texts() for offence in mentions(REGISTRY, path, text)]

    assert offences == []


@pytest.mark.parametrize("directory", HOMES)
def test_an_absolute_path_below_a_home_is_found(directory):
    assert MACHINE.search(f"open('/{directory}/alice/data.csv')")


@pytest.mark.parametrize(
    "line",
    [*(f"{before}/{HOMES[0]}/items" for before in ("/api", "~", "{base}", ".")), f"/{HOMES[0]}y/1"],
)
def test_a_relative_path_or_a_route_is_left_alone(line):
    assert not MACHINE.search(line)


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_that_names_a_registry_is_found_and_its_opposite_is_not(option):
    assert REGISTRY.search(f"pip install --{option} x")
    assert not REGISTRY.search(f"pip-compile --no-emit-{option}")


@pytest.mark.parametrize("host", HOSTS)
def test_a_registry_is_found_by_its_name(host):
    assert REGISTRY.search(f"see {host.replace(chr(92), '').upper()} for it")

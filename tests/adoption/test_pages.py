"""What the pages tell a user to do works, box by box, on a system started by `up`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ansf_platform.services.ports import free_ports
from tests.adoption.pages import FILES, UP, WRITTEN_PORT, Box, Shell, boxes, matches, steps
from tests.architecture.sources import ROOT
from tests.first_run.conftest import Up

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))]
TESTED_ELSEWHERE = {"make demo", "make check", "make test"}


class Reader:
    """Follows a page: writes its files, starts its systems, runs its commands.

    A system is started when the first command follows that it has to answer: one that the page
    starts anew before it asks anything is never seen.
    """

    def __init__(self, directory: Path, migrate: Callable[[Path], None]) -> None:
        self.directory = directory
        self.migrate = migrate
        self.state = directory / ".ansf"
        self.port, self.flower_port = free_ports(2)
        self.here = f"127.0.0.1:{self.port}"
        self.up: Up | None = None
        self.wanted: dict[str, str] | None = None
        self.shell = Shell(directory, self._up().environment)

    def follow(self, box: Box) -> None:
        if box.file:
            (self.directory / box.file).parent.mkdir(parents=True, exist_ok=True)
            (self.directory / box.file).write_text(box.text.replace(WRITTEN_PORT, self.here))
        elif box.language == "python":
            (self.directory / "typed.py").write_text(box.text)
            self._run("python manage.py shell -v 0 < typed.py")
        elif box.language == "console":
            for step in steps(box):
                self._do(step.command, step.output)

    def _do(self, command: str, expected: str) -> None:
        if command in TESTED_ELSEWHERE:
            return
        if start := UP.fullmatch(command):
            self.wanted = dict(word.split("=", 1) for word in start[1].split())
            return
        output = self._run(command.replace(WRITTEN_PORT, self.here))
        assert matches(expected.replace(WRITTEN_PORT, self.here), output), f"$ {command}\n{output}"

    def _run(self, command: str) -> str:
        self.settle()
        return self.shell.run(command)

    def settle(self) -> None:
        """Have what the page started last run."""
        if self.wanted is not None:
            self._start(self.wanted)
            self.wanted = None

    def _start(self, env: dict[str, str]) -> None:
        if self.up is not None:
            assert self.up.interrupt() == 0
        elif not (database := self.state / "ansf.sqlite3").exists():
            self.migrate(database)
        self.up = self._up(**env).start().await_banner()

    def _up(self, **env: str) -> Up:
        return Up(
            self.state,
            ("--cpu", "1", "--io", "2", "--no-flower"),
            {"PYTHONPATH": str(self.directory), **env},
            self.port,
            self.flower_port,
        )

    def end(self) -> None:
        self.shell.end()
        if self.up is not None:
            self.up.end()


@pytest.fixture
def reader(tmp_path, migrated_file):
    someone = Reader(tmp_path, migrated_file)
    yield someone
    someone.end()


@pytest.mark.valkey
@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("document", PAGES, ids=lambda path: path.stem)
def test_whoever_follows_a_page_gets_what_it_says(reader, document):
    for box in boxes(document):
        reader.follow(box)
    reader.settle()


@pytest.mark.parametrize("document", PAGES, ids=lambda path: path.stem)
def test_every_box_of_a_page_can_be_followed(document):
    found = boxes(document)

    assert found
    assert {box.language for box in found} <= {*FILES, "console"}
    assert [box.text for box in found if box.language in {"yaml", "json"} and not box.file] == []


def test_output_that_differs_does_not_match():
    assert matches("", "anything")
    assert matches("{…\n  3\n", '{"a":\n  3')
    assert not matches("3", "4")
    assert not matches("a\n…\nc", "a\nc d")


def documents():
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.stem)
def test_links_of_a_page_lead_somewhere(document):
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)

    broken = [
        target
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
        if "://" not in target and not (document.parent / target).exists()
    ]

    assert broken == []


def test_every_make_target_that_a_page_names_exists():
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        target
        for page in documents()
        for target in re.findall(r"(?:`|\$ )make ([a-z][a-z0-9-]*)", page.read_text())
    }

    assert named <= targets

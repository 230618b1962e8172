"""Pages as programs: the boxes of a Markdown page, and a shell that runs them in order.

A box after a line that ends in a file name and a colon (`reports.py`:) is that file. A box of
Python without a name is given to `manage.py shell`. In a `console` box a line behind `$` is a
command, what follows is its output, with … for anything.
"""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.sources import ROOT

BOX = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"`([\w./-]+\.\w+)`:\s*$")
UP = re.compile(r"((?:\w+=\S+ )*)make up")
WRITTEN_PORT = "127.0.0.1:8053"
END = "-- the command ended with"
FILES = {"python", "yaml", "json"}


@dataclass(frozen=True)
class Box:
    """A box of a page: what language, in which file, its text."""

    language: str
    file: str
    text: str


@dataclass(frozen=True)
class Step:
    """A command and what it has to print ("" for whatever)."""

    command: str
    output: str


def boxes(page: Path) -> list[Box]:
    text = page.read_text(encoding="utf-8")
    return [
        Box(found[2], _file_before(text[: found.start()]), textwrap.dedent(found[3]))
        for found in BOX.finditer(text)
    ]


def _file_before(text: str) -> str:
    found = FILE_NAME.search(text)
    return found[1] if found else ""


def steps(box: Box) -> list[Step]:
    found: list[Step] = []
    lines = iter(box.text.splitlines())
    for line in lines:
        if not line.startswith("$ "):
            found[-1] = Step(found[-1].command, f"{found[-1].output}{line}\n")
            continue
        command = line[2:]
        while command.endswith("\\"):
            command += "\n" + next(lines)
        found.append(Step(command, ""))
    return found


def matches(expected: str, output: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in expected.strip().split("…"))
    return not expected or re.fullmatch(pattern, output.strip(), re.DOTALL) is not None


class Shell:
    """One bash in a directory that looks like a clone with its `.venv`."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        (directory / "manage.py").symlink_to(ROOT / "manage.py")
        activate = directory / ".venv" / "bin" / "activate"
        activate.parent.mkdir(parents=True)
        activate.write_text(f"export PATH={Path(sys.executable).parent}:$PATH\n")
        self.directory = directory
        self.errors = (directory / "stderr").open("w+")
        self.process = subprocess.Popen(
            ["bash", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            cwd=directory,
            env=environment,
            text=True,
        )

    def run(self, command: str) -> str:
        """Its output. Fails with what it said on stderr when it does not exit with 0."""
        self.errors.truncate(0)
        self.process.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '\\n{END} %d\\n' $?\n")
        self.process.stdin.flush()
        lines: list[str] = []
        for line in self.process.stdout:
            if line.startswith(END):
                said = (self.directory / "stderr").read_text()
                assert line.removeprefix(END).strip() == "0", f"{command}\n{''.join(lines)}{said}"
                return "".join(lines)
            lines.append(line)
        raise AssertionError(f"the shell ended in {command}")

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()
        self.errors.close()

from __future__ import annotations

import io
import os

import pytest

from ansf_platform.services.log_lines import LogLines


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_every_line_stands_behind_its_name_in_a_column():
    out = io.StringIO()
    lines = LogLines(out, ["web", "worker-cpu"])

    lines.write("web", "one\ntwo")
    lines.write("worker-cpu", "three")

    assert out.getvalue() == "web        | one\nweb        | two\nworker-cpu | three\n"


def test_on_a_terminal_every_name_has_its_colour():
    out = Terminal()
    lines = LogLines(out, ["web", "worker"])

    lines.write("web", "x")
    lines.write("worker", "x")

    first, second = out.getvalue().splitlines()
    assert first.startswith("\x1b[36mweb    |\x1b[0m x")
    assert second.startswith("\x1b[32mworker |\x1b[0m x")


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_wants_no_colour_gets_none(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    out = Terminal()

    LogLines(out, ["web"]).write("web", "x")

    assert out.getvalue() == "web | x\n"


def pumped(data):
    out = io.StringIO()
    reading, writing = os.pipe()
    thread = LogLines(out, ["web"]).pump("web", os.fdopen(reading, "rb"))
    with os.fdopen(writing, "wb") as stream:
        stream.write(data)
    thread.join(10)
    assert not thread.is_alive()
    return out.getvalue()


def test_what_is_no_text_is_shown_and_an_unfinished_line_is_finished():
    assert pumped(b"caf\xe9\r\n\nlast") == "web | caf\ufffd\nweb | \nweb | last\n"


def test_a_line_without_an_end_is_cut():
    lines = pumped(b"x" * 100_000).splitlines()

    assert [len(line) - len("web | ") for line in lines] == [65_536, 100_000 - 65_536]


def test_a_reader_that_went_away_stops_nobody():
    out = io.StringIO()
    lines = LogLines(out, ["web"])
    out.close()

    lines.write("web", "nobody reads this")

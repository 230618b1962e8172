"""How values look: for people on a terminal, for scripts in a pipe."""

from __future__ import annotations

import io
import json
import uuid
from datetime import UTC, datetime

import pytest

from ansf_platform.screen import Screen, bar, cell, printable
from coordination.management.drawing import MAX_LINES, draw


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def screen(out=None, **options):
    return Screen(out or io.StringIO(), io.StringIO(), **options)


def test_a_pipe_gets_aligned_text_without_a_single_escape():
    out = io.StringIO()
    screen(out).table(("name", "status"), [("a", "dead"), ("longer", "ready")])

    assert out.getvalue() == "name    status\na       dead\nlonger  ready\n"


def test_a_terminal_gets_colours():
    out = Terminal()
    screen(out).table(("status",), [("dead",)])

    assert "\x1b[31mdead" in out.getvalue()


def test_no_color_is_obeyed_on_a_terminal(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    screen(out).table(("status",), [("dead",)])

    assert "\x1b[31m" not in out.getvalue()


def test_the_option_no_color_is_obeyed_too():
    out = Terminal()
    screen(out, colour=False).line("dead", "red")

    assert "\x1b[31m" not in out.getvalue()


def test_an_empty_table_says_so():
    out = io.StringIO()
    screen(out).table(("name",), [], "Swarms")

    assert out.getvalue() == "Swarms\n(none)\n"


def test_json_holds_times_ids_and_values_that_json_lacks():
    out = io.StringIO()
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    screen(out, as_json=True).json({"at": moment, "id": uuid.UUID(int=7), "set": {2, 1}})

    assert json.loads(out.getvalue()) == {
        "at": "2026-01-31T12:00:00+00:00",
        "id": "00000000-0000-0000-0000-000000000007",
        "set": [1, 2],
    }


def test_json_in_a_pipe_is_one_line_and_on_a_terminal_is_indented():
    pipe, terminal = io.StringIO(), Terminal()
    screen(pipe, as_json=True).json({"a": [1]})
    screen(terminal, as_json=True).json({"a": [1]})

    assert pipe.getvalue().count("\n") == 1
    assert terminal.getvalue().count("\n") > 1


def test_square_brackets_are_text_and_not_markup():
    out = io.StringIO()
    screen(out).line("[red]not markup[/red]")

    assert out.getvalue() == "[red]not markup[/red]\n"


def test_long_lines_in_a_pipe_are_not_wrapped():
    out = io.StringIO()
    screen(out).line("x" * 500)

    assert out.getvalue() == "x" * 500 + "\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("\x1b]0;title\x07", "\\x1b]0;title\\x07"), ("tab\tkept\n", "tab\tkept\n"), ("é", "é")],
)
def test_control_characters_become_visible(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "yes"),
        (0.123456, "0.123"),
        (123456.7, "123,457"),
        (12, "12"),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_cells_show_what_a_person_reads(value, shown):
    assert cell(value) == shown


@pytest.mark.parametrize(("part", "filled"), [(0, 0), (0.001, 1), (50, 5), (100, 10), (1000, 10)])
def test_a_bar_is_filled_in_proportion_and_never_hides_something(part, filled):
    assert bar(part, 100, 10) == "█" * filled + "·" * (10 - filled)


class Node:
    status = "ready"

    def __init__(self, name, *parents):
        self.name, self.parents = name, parents


def test_a_chain_longer_than_the_stack_is_drawn_up_to_a_bound():
    nodes = [Node("0"), *(Node(str(n), str(n - 1)) for n in range(1, 5_000))]

    lines = list(draw(nodes))

    assert len(lines) == MAX_LINES + 1
    assert lines[-1] == f"… and {5_000 - MAX_LINES} more; --json has all"


def test_siblings_keep_their_order():
    assert [line[-8:] for line in draw([Node("r"), Node("x", "r"), Node("y", "r")])] == [
        "r  ready"[-8:],
        "x  ready",
        "y  ready",
    ]

"""Every bad CSV is refused in one line that says what, where and what would do."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from django.core.management import load_command_class

from dashboard.demo.series import BadSeries, read_series, real_series
from tests.architecture.sources import ROOT


def lines(values, header="value"):
    return "\n".join([header, *map(str, values), ""])


GOOD = [np.sin(i / 7) for i in range(300)]


@pytest.fixture
def file(tmp_path):
    def write(content, name="series.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_a_column_is_read_by_its_name(file):
    path = file("time;level;note\n" + "".join(f"{i};{x};n\n" for i, x in enumerate(GOOD)))

    series = read_series(path, "level")

    assert series.title == "level"
    np.testing.assert_array_equal(series.samples, GOOD)


def test_the_only_column_needs_no_name(file):
    assert read_series(file(lines(GOOD)), None).title == "value"


def test_a_byte_order_mark_quotes_and_windows_line_ends_are_read(file):
    text = '\ufeff"my value",b\r\n' + "".join(f'"{x}",1\r\n' for x in GOOD)

    assert read_series(file(text), "my value").samples.size == 300


def test_the_real_series_are_as_long_as_their_sources():
    assert [(one.key, one.samples.size) for one in real_series()] == [("ecg", 1024), ("nino", 264)]


def with_line(number, text):
    values = [str(x) for x in GOOD]
    values[number - 2] = text
    return lines(values)


BAD = {
    "text": (with_line(17, "abc"), "line 17", "'abc'", "not a number"),
    "nan": (with_line(20, "NaN"), "line 20", "only finite numbers"),
    "infinity": (with_line(20, "-inf"), "line 20", "only finite numbers"),
    "overflow": (with_line(20, "1e999"), "line 20", "only finite numbers"),
    "gap": ("a,b\n" + "1,\n" * 300, "line 2", "nothing in column 'b'"),
    "short line": ("a,b\n1,2\n3\n", "line 3", "no column 'b'"),
    "short": (lines(GOOD[:100]), "100 samples", "at least 192"),
    "header only": ("value\n", "0 samples"),
    "empty": ("", "is empty"),
    "constant": (lines([3.25] * 300), "the same value everywhere"),
    "zero": (lines([0] * 300), "the same value everywhere"),
    "rounding": (lines([0.1 + 1e-17 * i for i in range(300)]), "the same value everywhere"),
    "binary": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" * 50, "binary file"),
    "latin-1": ("value\n°C".encode("latin-1") * 300, "not a text file in UTF-8"),
    "quote": ('value\n"1.0' + "\n2.0" * 300, "not a CSV file"),
    "too large": (with_line(20, "1e300"), "1e+300", "at most"),
    "huge cell": ("value\n" + "9" * 200_000, "not a CSV file"),
    "long line": ("x" * 100_000 + "\n1\n", "samples"),
    "decimal commas": ("b\n" + "".join(f'"{i},5"\n' for i in range(300)), "'0,5'"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_with_what_and_where(file, case):
    content, *words = BAD[case]
    column = "b" if case in {"gap", "short line"} else None

    with pytest.raises(BadSeries) as refusal:
        read_series(file(content), column)

    message = str(refusal.value)
    assert "\n" not in message
    assert len(message) < 600
    for word in words:
        assert word in message


def test_an_unknown_column_is_answered_with_those_there_are(file):
    with pytest.raises(BadSeries, match=r"no column 'c'; it has a, b"):
        read_series(file("a,b\n1,2\n"), "c")


def test_one_of_several_columns_has_to_be_named(file):
    with pytest.raises(BadSeries, match=r"columns a, b: choose one with --column"):
        read_series(file("a,b\n1,2\n"), None)


def test_two_columns_of_one_name_are_refused(file):
    with pytest.raises(BadSeries, match="2 columns called 'a'"):
        read_series(file("a,a\n1,2\n"), "a")


def test_a_missing_file_and_a_directory_are_refused(tmp_path):
    with pytest.raises(BadSeries, match="No such file"):
        read_series(tmp_path / "absent.csv", None)
    with pytest.raises(BadSeries, match="not a file"):
        read_series(tmp_path, None)


def test_a_file_above_the_limit_is_refused_unread(tmp_path):
    path = tmp_path / "huge.csv"
    with path.open("wb") as stream:
        stream.truncate(65 * 2**20)  # sparse: takes no room on the disk

    with pytest.raises(BadSeries, match="65 MB, at most 64"):
        read_series(path, None)


def test_more_lines_than_the_limit_are_refused(file, monkeypatch):
    monkeypatch.setattr("dashboard.demo.series.LONGEST", 200)

    with pytest.raises(BadSeries, match="more than 200 lines"):
        read_series(file(lines(GOOD)), None)


def run(*arguments, state):
    return subprocess.run(
        (sys.executable, str(ROOT / "manage.py"), "demo", *map(str, arguments)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "", "ANSF_STATE_DIR": str(state)},
    )


def test_the_command_refuses_before_anything_is_started(file, tmp_path):
    state = tmp_path / "state"

    ended = run("--csv", file(with_line(17, "abc")), state=state)

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("demo: line 17 of ")
    assert ended.stderr.count("\n") == 1
    assert not list(state.glob("demo-*"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--column", "x"), "--csv"),
        (("--report", "absent/report.html"), "no directory"),
        (("--report", "."), "is a directory"),
        (("--speed", "9"), "unrecognized arguments"),
        (("--csv", "absent.csv"), "No such file"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_2(
    tmp_path, monkeypatch, capsys, settings, arguments, words
):
    monkeypatch.chdir(tmp_path)
    settings.STATE_DIR = tmp_path / "state"

    with pytest.raises(SystemExit) as ended:
        load_command_class("dashboard", "demo").run_from_argv(["manage.py", "demo", *arguments])

    told = capsys.readouterr()
    assert ended.value.code == 2
    assert words in told.err
    assert told.err.count("\n") == 1
    assert not settings.STATE_DIR.exists()

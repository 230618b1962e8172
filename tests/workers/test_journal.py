"""What a child writes while a handler runs is what the beat reads."""

from __future__ import annotations

from uuid import uuid4

import pytest

from workers.journal import MAX_FILE, MAX_LOG, Journal, changed, path_for


@pytest.fixture
def task():
    return uuid4()


@pytest.fixture
def journal(tmp_path, task):
    found = Journal(path_for(tmp_path, task, 3))
    yield found
    found.close()


def test_every_line_is_there_at_once(journal, tmp_path, task):
    for number in range(5):
        journal.write(f"line {number}\n")

    [entry] = changed(tmp_path, {})

    assert (entry.task_id, entry.fence) == (task, 3)
    assert entry.log == "".join(f"line {number}\n" for number in range(5)) == journal.text


def test_progress_and_note_are_the_last_that_were_reported(journal, tmp_path):
    journal.report(0.2, "first")
    journal.write("a line")
    journal.report(7.0, "x" * 300)

    [entry] = changed(tmp_path, {})

    assert (entry.progress, entry.note, entry.log) == (1.0, "x" * 200, "a line\n")


def test_a_file_is_told_once_until_it_changes(journal, tmp_path):
    seen = {}
    journal.write("a")
    assert len(list(changed(tmp_path, seen))) == 1
    assert list(changed(tmp_path, seen)) == []

    journal.write("b")

    assert [entry.log for entry in changed(tmp_path, seen)] == ["a\nb\n"]


def test_a_chatty_handler_keeps_the_newest_text_in_a_bounded_file(journal, tmp_path):
    for number in range(20_000):
        journal.write(f"{number:06d} " + "x" * 50)

    [entry] = changed(tmp_path, {})

    assert len(journal.text) == MAX_LOG
    assert entry.log == journal.text
    assert journal.text.endswith(f"{19_999:06d} " + "x" * 50 + "\n")
    [file] = tmp_path.iterdir()
    assert file.stat().st_size <= MAX_FILE + 200


def test_one_enormous_line_is_cut(journal):
    journal.write("x" * (3 * MAX_LOG))

    assert len(journal.text) == MAX_LOG


def test_a_half_written_line_does_not_hide_the_others(journal, tmp_path):
    journal.write("whole")
    with open(journal.path, "ab") as file:  # noqa: PTH123 - as the journal names it
        file.write(b'{"log": "ha')

    [entry] = changed(tmp_path, {})

    assert entry.log == "whole\n"


def test_a_closed_journal_leaves_no_file_and_is_forgotten(journal, tmp_path):
    seen = {}
    journal.write("a")
    list(changed(tmp_path, seen))

    journal.close()

    assert list(tmp_path.iterdir()) == []
    assert list(changed(tmp_path, seen)) == []
    assert seen == {}


def test_an_attempt_that_says_nothing_opens_no_file(journal, tmp_path):
    journal.close()

    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_does_not_fail_the_handler(tmp_path, task):
    journal = Journal(path_for(tmp_path / "gone", task, 1))

    journal.write("a")

    assert journal.text == "a\n"


def test_without_a_path_it_is_kept_in_memory():
    journal = Journal(None)
    journal.write("a")
    journal.report(0.5, "n")
    journal.close()

    assert (journal.text, journal.progress, journal.note) == ("a\n", 0.5, "n")

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command


def test_a_chat_is_printed_as_a_chat_with_fewer_tokens(tmp_path, capsys):
    path = tmp_path / "chat.json"
    path.write_text(json.dumps([{"role": "user", "content": "Hello!  In order to win, run 5 km."}]))

    call_command("compress", str(path))

    said = capsys.readouterr()
    assert json.loads(said.out) == [{"role": "user", "content": "To win, run 5 km."}]
    assert "% less" in said.err


def test_json_tells_the_tokens_before_and_after(tmp_path, capsys):
    path = tmp_path / "prompt.txt"
    path.write_text("Thanks!\n\n\n\nWhat is 3 + 4?", encoding="utf-8")

    call_command("compress", str(path), "--json")

    report = json.loads(capsys.readouterr().out)
    assert report["tokens_after"] < report["tokens_before"]
    assert report["messages"][0]["content"].strip() == "What is 3 + 4?"
    assert report["exact"] is report["within_budget"] is True


def test_a_budget_that_cannot_be_met_ends_with_3(tmp_path):
    path = tmp_path / "prompt.txt"
    path.write_text("Never mix 1 and 2.", encoding="utf-8")

    with pytest.raises(CommandError, match="does not fit") as caught:
        call_command("compress", str(path), "--budget", "1")

    assert caught.value.returncode == 3


@pytest.mark.parametrize(
    ("content", "arguments", "said"),
    [
        (b"\xff\xfe", [], "UTF-8"),
        (b"x" * 4_000_001, [], "larger than"),
        (b"x", ["--budget", "-1"], "negative"),
        (None, [], "cannot be read"),
    ],
)
def test_what_cannot_be_compressed_is_refused_in_one_line(tmp_path, content, arguments, said):
    path = tmp_path / "prompt.txt"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(CommandError, match=said) as caught:
        call_command("compress", str(path), *arguments)

    assert caught.value.returncode == 2

from __future__ import annotations

import json

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from gateway.embedder import MINILM, Hashing

PAIRS = [
    {"a": "How do I reset my router?", "b": "so how do i reset my router", "same_answer": True},
    {"a": "Is lunch included?", "b": "Hi, is lunch included please?", "same_answer": True},
    {"a": "Is lunch included?", "b": "Is lunch excluded?", "same_answer": False},
    {"a": "Which bus goes to Lyon?", "b": "Which bus goes to Nantes?", "same_answer": False},
]


@pytest.fixture
def written(tmp_path):
    def write(lines):
        path = tmp_path / "lines.jsonl"
        path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
        return path

    return write


def test_evaluate_prints_hit_rates_with_intervals(written, capsys):
    call_command("cache", "evaluate", str(written(PAIRS)), "--json")

    report = json.loads(capsys.readouterr().out)
    assert report["hit_at_1pct"] == report["hit_at_5pct"] == 1.0
    assert report["hit_at_1pct_interval"] == [1.0, 1.0]
    assert (report["should_hit"], report["must_not_hit"]) == (2, 2)
    assert report["shipped"]["wrong"] == 0.0


def test_replay_prints_requests_hits_and_wrong_ones(written, capsys):
    stream = [{"prompt": pair[side], "group": pair["a"]} for pair in PAIRS[:2] for side in "ab"]

    call_command("cache", "replay", str(written(stream)), "--json")

    report = json.loads(capsys.readouterr().out)
    assert (report["requests"], report["hits"], report["wrong"]) == (4, 2, 0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 1"),
        ("[]", "not a JSON object"),
        ('{"a": "x", "b": "y"}', "same_answer"),
        ('{"a": 1, "b": "y", "same_answer": true}', "a is not a text"),
        ("", "no lines"),
        ('{"a": "' + "x" * 70_000 + '"}', "longer than"),
        ("[" * 60_000, "line 1"),
    ],
)
def test_a_bad_line_is_told_with_its_number(tmp_path, line, said):
    path = tmp_path / "bad.jsonl"
    path.write_text(line, encoding="utf-8")

    with pytest.raises(CommandError, match=said) as caught:
        call_command("cache", "evaluate", str(path))

    assert caught.value.returncode == 2


def test_a_lone_surrogate_and_an_empty_prompt_are_compared_too(written, capsys):
    stream = written([{"prompt": "\ud800", "group": 1}, {"prompt": "", "group": 2}])

    call_command("cache", "replay", str(stream), "--json")

    assert json.loads(capsys.readouterr().out)["requests"] == 2


def test_the_encoder_puts_a_paraphrase_nearer_than_another_question():
    asked, same, other = MINILM.embed(
        ["How do I get a refund?", "I want my money back", "What is the weather in May?"]
    )

    assert asked @ same > asked @ other
    assert np.linalg.norm(asked) == pytest.approx(1, abs=1e-4)


def test_hashed_vectors_are_the_same_in_every_process_and_have_length_one():
    one, again, other = Hashing().embed(["reset my router", "reset my router", "bake bread"])

    assert np.array_equal(one, again)
    assert one @ other < 0.5
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)

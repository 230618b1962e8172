from __future__ import annotations

import json
from math import ceil

import pytest
from django.core.management import CommandError, call_command

from ansf_platform.accounts.models import AuditEntry
from gateway import catalogue
from gateway.models import GatewayPolicy, LanguageModel, Provider
from gateway.prices import BadTable, read_table
from gateway.routing.sufficiency import read_model


@pytest.fixture(autouse=True)
def fresh_view():
    """No test sees the rows of another."""
    catalogue.WATCHER.reset()
    yield
    catalogue.WATCHER.reset()


@pytest.fixture
def mini(tenant):
    provider = Provider.objects.create(name="openai", base_url="https://api.example/v1")
    row = LanguageModel.objects.create(
        name="mini", provider=provider, upstream="gpt-mini", quality=0.8, input_price=1
    )
    catalogue.forget()
    return row


def run(capsys, *words):
    call_command("route", *words)
    return capsys.readouterr().out


def test_a_decision_is_explained_in_words_and_in_json(capsys, mini):
    told = run(capsys, "explain", "--prompt", "What is a mole?", "--max-output", "100")
    plain = json.loads(run(capsys, "explain", "--prompt", "What is a mole?", "--json"))

    assert "the cheapest of 1 good enough and affordable, of 2 known" in told
    assert "below the quality floor" in told
    assert plain["model"] == "mini"
    assert 0 < plain["cheap_suffices"] < 1


def test_a_chat_is_read_from_a_file(capsys, mini, tmp_path):
    path = tmp_path / "chat.json"
    path.write_text(json.dumps([{"role": "system", "content": "a b c"},
                                {"role": "user", "content": "Why?"}]))  # fmt: skip

    told = json.loads(run(capsys, "explain", str(path), "--json"))

    assert told["tokens_in"] == ceil(1.1 * (3 + 2 + 2 * 4 + 3))  # estimated: with a margin


def test_no_model_exits_3_and_says_why_of_each(capsys, mini):
    GatewayPolicy.objects.update(quality_floor=1.0)

    with pytest.raises(CommandError, match="below the quality floor: extractive, mini") as refused:
        run(capsys, "explain", "--prompt", "Why?")

    assert refused.value.returncode == 3


@pytest.mark.parametrize(
    "words",
    [
        ("explain",),
        ("explain", "--prompt", "x", "--tenant", "nobody"),
        ("explain", "--prompt", "x", "--policy", "none"),
        ("explain", "--prompt", "x", "--max-output", "0"),
        ("explain", "absent.txt"),
        ("train", "absent.csv"),
        ("prices", "absent.json"),
    ],
)
def test_wrong_words_are_refused_in_one_line(capsys, mini, words):
    with pytest.raises(CommandError) as refused:
        run(capsys, *words)

    assert refused.value.returncode == 2
    assert "\n" not in str(refused.value)


def test_training_writes_a_model_and_tells_what_it_is_worth(capsys, tmp_path):
    path, out = tmp_path / "outcomes.csv", tmp_path / "model.json"
    lines = ["bench,prompt,weak_correct,strong_correct"]
    for number in range(200):
        hard = number % 2
        prompt = "word " * (40 if hard else 5)
        lines.append(f"subject {number % 5},{prompt},{not hard or number % 6 == 1},True")
    path.write_text("\n".join(lines))

    told = json.loads(run(capsys, "train", str(path), "--out", str(out), "--label", "a", "--json"))

    assert told["judged"]["apgr"] > 0.7
    assert read_model(out).as_dict() == told["model"]
    assert told["model"]["label"] == "a"


def test_the_model_that_the_environment_names_is_used(capsys, mini, settings, tmp_path):
    path = tmp_path / "model.json"
    from_shipped = read_model.__globals__["shipped"]().as_dict()
    path.write_text(json.dumps(from_shipped | {"label": "mine"}))
    settings.ANSF = settings.ANSF | {"ROUTE_MODEL": str(path)}

    told = json.loads(run(capsys, "explain", "--prompt", "Why?", "--json"))

    assert told["learned_model"] == "mine"


TABLE = {
    "openai/gpt-mini": {
        "mode": "chat", "input_cost_per_token": 3.75e-08, "output_cost_per_token": 6e-07,
        "cache_read_input_token_cost": 7.5e-09, "max_input_tokens": 128_000,
        "supports_function_calling": True, "deprecation_date": "2030-01-01",
    },
    "embedder": {"mode": "embedding", "input_cost_per_token": 1e-08},
    "broken": {"mode": "chat", "input_cost_per_token": "free", "output_cost_per_token": 0},
    "fine": {"input_cost_per_token": 1.23e-14, "output_cost_per_token": 1e-16},
    "dear": {"input_cost_per_token": 11, "output_cost_per_token": 0},
}  # fmt: skip


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(TABLE))
    return path


def test_prices_are_compared_exactly_and_nothing_is_written_unasked(capsys, mini, table):
    told = json.loads(run(capsys, "prices", str(table), "--json"))

    assert told["differences"] == [{"model": "mini", "tenant": None, "changes": {
        "input_price": [1, 37_500_000], "output_price": [0, 600_000_000],
        "cached_price": [None, 7_500_000], "context_window": [8192, 128_000],
        "supports_tools": [False, True],
    }}]  # fmt: skip
    assert told["unlisted"] == ["extractive"]
    assert (told["read"], told["other_modes"]) == (5, 1)
    assert {each["name"] for each in told["bad"]} == {"broken", "fine", "dear"}
    mini.refresh_from_db()
    assert mini.input_price == 1


def test_prices_are_written_when_asked_and_audited(capsys, mini, table):
    assert "input_price 1 → 37,500,000" in run(capsys, "prices", str(table), "--apply")

    mini.refresh_from_db()
    assert (mini.input_price, mini.context_window, mini.revision) == (37_500_000, 128_000, 2)
    assert AuditEntry.objects.get(action="gateway.model.update").actor == "command"
    assert json.loads(run(capsys, "prices", str(table), "--json"))["differences"] == []


def test_a_table_that_makes_a_row_impossible_changes_nothing(capsys, mini, tmp_path):
    path = tmp_path / "prices.json"
    wrong = {"input_cost_per_token": 1e-6, "output_cost_per_token": 0, "max_output_tokens": 10**6}
    path.write_text(json.dumps({"gpt-mini": wrong}))

    with pytest.raises(CommandError, match="exceeds the context window"):
        run(capsys, "prices", str(path), "--apply")
    mini.refresh_from_db()
    assert mini.input_price == 1


@pytest.mark.parametrize(
    "price", ["NaN", "1e999999", "1e-999999", "-1e-9", "true", "null", '"1"', "[]", "1e-16"]
)
def test_a_price_that_is_none_is_told_and_left_out(tmp_path, price):
    path = tmp_path / "prices.json"
    path.write_text(f'{{"m": {{"input_cost_per_token": {price}, "output_cost_per_token": 0}}}}')

    found = read_table(path)

    assert found.models == {}
    assert found.bad[0][0] == "m"


@pytest.mark.parametrize("text", ["", "[]", "{", "1", '{"a": 1'])
def test_a_file_that_is_no_table_is_refused(tmp_path, text):
    path = tmp_path / "prices.json"
    path.write_text(text)

    with pytest.raises(BadTable):
        read_table(path)


@pytest.mark.parametrize("entry", [None, 1, [], "x"])
def test_an_entry_that_is_no_object_is_told(tmp_path, entry):
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"m": entry}))

    assert read_table(path).bad == (("m", "it is no object"),)

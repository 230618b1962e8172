"""docs/celery.md, followed to the letter by somebody who has Celery tasks already."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from pathlib import Path

import pytest

from benchmarks.stack import Stack
from coordination import handlers
from workers import outcomes

PAGE = Path(__file__).resolve().parents[2] / "docs" / "celery.md"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


def blocks(language):
    """The code of one language on the page, in order."""
    found = re.findall(
        rf"^( *)```{language}\n(.*?)^\1```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    return [textwrap.dedent(code) for _, code in found]


def named(language, name):
    """The block that begins with the name of its file."""
    [code] = [code for code in blocks(language) if code.startswith(f"# {name}\n")]
    return code


def commands():
    """The arguments of every `manage.py` line, in order."""
    lines = [line for code in blocks("console") for line in code.splitlines()]
    prefix = "$ python manage.py "
    return [shlex.split(line.removeprefix(prefix)) for line in lines if line.startswith(prefix)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory, migrated_file):
    """The embedded system of somebody who did steps 1 to 4."""
    home = tmp_path_factory.mktemp("shop")
    for language, name in (("python", "shop_tasks.py"), ("yaml", "shop.yaml")):
        (home / name).write_text(named(language, name))
    (home / "greetings.py").write_text(named("python", "greetings.py"))
    [exported] = re.findall(r"^export ANSF_HANDLERS=(\S+)$", "".join(blocks("sh")), re.MULTILINE)
    extra = {"PYTHONPATH": str(home), "ANSF_HANDLERS": f"{exported},greetings"}
    state = tmp_path_factory.mktemp("state")
    migrated_file(state / "ansf.sqlite3")
    with Stack("embedded", state, extra) as stack:
        [apply] = [words for words in commands() if words[:2] == ["swarm", "apply"]]
        stack.manage(*apply[:2], str(home / apply[2]))
        stack.coordinator()
        stack.worker("io", 2)
        yield stack


def show(shop, task_id):
    return json.loads(shop.manage("task", "show", task_id, "--json"))


@pytest.mark.valkey
@pytest.mark.timeout(120)
class TestSteps:
    def test_the_commands_of_the_page_run_as_they_are_written(self, shop):
        submit, *looks = [words for words in commands() if words[0] != "swarm"]

        [identifier] = set(UUID.findall(shop.manage(*submit)))

        for words in looks:
            said = shop.manage(*[identifier if word == "ID" else word for word in words])
            assert identifier in said or "charging order 7" in said

    def test_self_retry_has_history_retries_logs_and_priority(self, shop):
        payload = '{"order": 8, "fails": 2}'
        said = shop.manage(
            "submit", "charge", "--payload", payload, "--priority", "9", "--wait", "60s"
        )
        task = show(shop, UUID.search(said).group())

        assert (task["status"], task["priority"]) == ("succeeded", 9)
        assert task["result"] == {"order": 8, "charged": True}
        ends = [(attempt["outcome"], attempt["error_type"]) for attempt in task["attempts"]]
        assert ends == [
            ("retried", "ConnectionError"),
            ("retried", "ConnectionError"),
            ("succeeded", ""),
        ]
        logs = shop.manage("task", "logs", task["id"])
        assert [f"try {number}" in logs for number in (1, 2, 3)] == [True] * 3

    def test_autoretry_waits_its_own_backoff_and_keeps_its_logs(self, shop):
        said = shop.manage(
            "submit", "mail", "--payload", '{"address": "a@example.org"}', "--priority", "0"
        )
        identifier = UUID.search(said).group()
        task = show(shop, identifier)
        for _ in range(100):
            if task["attempts"]:
                break
            task = show(shop, identifier)

        first = task["attempts"][0]
        assert (first["outcome"], first["error_type"]) == ("retried", "OSError")
        assert "writing to a@example.org" in shop.manage("task", "logs", identifier)
        assert task["priority"] == 0

    def test_a_payload_that_the_schema_does_not_know_is_refused(self, shop):
        with pytest.raises(RuntimeError, match="ended with 2") as refusal:
            shop.manage("submit", "charge", "--payload", '{"ordr": 7}')

        assert "Traceback" not in str(refusal.value)

    def test_the_ten_line_handler_runs(self, shop, tmp_path):
        declared = tmp_path / "greet.yaml"
        declared.write_text("definitions: {greet: {handler: greetings.greet, pool: io}}\n")
        shop.manage("swarm", "apply", str(declared))

        said = shop.manage("submit", "greet", "--payload", '{"name": "Ada"}', "--wait", "60s")

        task = show(shop, UUID.search(said).group())
        assert task["result"] == {"text": "Hello, Ada"}
        assert "attempt 1" in shop.manage("task", "logs", task["id"])


def table(heading):
    """The rows of the first table below a heading, without the markup of code."""
    below = PAGE.read_text().split(f"## {heading}\n", 1)[1]
    lines = below[below.index("|") :].split("\n\n", 1)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_option_that_is_warned_about_is_on_the_page(monkeypatch):
    class Everything:
        rate_limit, time_limit, soft_time_limit, acks_late = "1/s", 1, 1, False

    monkeypatch.setattr(handlers, "app", type("App", (), {"tasks": {"x": Everything}}))

    told = {warning.split(" ", 1)[0] for warning in handlers.ignored_options("x")}

    on_the_page = " ".join(row[0] for row in table("What is ignored"))
    assert told
    assert all(option in on_the_page for option in told)


def test_every_ending_of_the_code_is_on_the_page():
    page = " ".join(row[0] for row in table("How it ends"))

    for word in ("retry", "autoretry_for", "Reject", "Ignore", "SoftTimeLimitExceeded", "GiveUp"):
        assert word in outcomes.__doc__
        assert word in page

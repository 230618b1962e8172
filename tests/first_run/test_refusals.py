"""What `up` and its settings refuse, in one line and before anything starts."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.core.management import load_command_class

from ansf_platform.first_run import servers
from ansf_platform.first_run.servers import choose_servers
from ansf_platform.first_run.wishes import Refused, Wishes, refuse_contradictions
from ansf_platform.services import postgres, rabbitmq
from ansf_platform.services.errors import BinaryMissing
from tests.architecture.sources import ROOT


def up(state, *arguments, **env):
    return subprocess.run(
        (sys.executable, str(ROOT / "manage.py"), "up", *arguments),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "", "ANSF_STATE_DIR": str(state), **env},
    )


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"DEBUG": "0", "SECRET_KEY": "x" * 50}, "none of DATABASE_URL, BROKER_URL and REDIS"),
        ({"DEBUG": "0"}, "SECRET_KEY is not set"),
        ({"DEBUG": "perhaps"}, "DEBUG='perhaps' is not a boolean"),
        ({"DATABASE_URL": "postgres//u:secret@h", "DEBUG": "1"}, "DATABASE_URL cannot be read"),
        ({"DATABASE_URL": "postgres://u:se[cret@h", "DEBUG": "1"}, "DATABASE_URL cannot be read"),
    ],
)
def test_settings_are_refused_with_the_reason(tmp_path, env, words):
    ended = up(tmp_path, **env)

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert words in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "cret" not in ended.stderr.removeprefix("up: SECRET")
    assert not (tmp_path / "up.json").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--broker", "kafka"), "invalid choice"),
        (("--port", "0"), "from 1 to 65535"),
        (("--port", "80O0"), "is not a port"),
        (("--flower-port", "65536"), "is not a port"),
        (("--cpu", "-1"), "slots"),
        (("--io", "100000"), "slots"),
        (("here",), "unrecognized arguments"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_2(capsys, arguments, words):
    command = load_command_class("ansf_platform", "up")

    with pytest.raises(SystemExit) as ended:
        command.run_from_argv(["manage.py", "up", *arguments])

    told = capsys.readouterr()
    assert ended.value.code == 2
    assert told.out == ""
    assert words in told.err
    assert told.err.count("\n") == 1


def test_a_broker_that_nobody_speaks_to_is_refused(settings):
    settings.BROKER_URL = "rabbit://h"

    with pytest.raises(Refused, match="begins with 'rabbit'"):
        refuse_contradictions("embedded", "sqlite")


def test_two_brokers_are_one_too_many(settings):
    settings.BROKER_URL = "amqp://h"

    with pytest.raises(Refused, match="BROKER_URL is set and --broker rabbitmq"):
        refuse_contradictions("rabbitmq", "sqlite")


@pytest.mark.parametrize("given", ["DATABASE_URL", "BROKER_URL", "REDIS_URL"])
def test_one_named_service_is_enough_without_debug(settings, given):
    settings.DEBUG = False
    settings.DATABASE_URL = settings.BROKER_URL = settings.REDIS_URL = ""
    with pytest.raises(Refused):
        refuse_contradictions("embedded", "sqlite")

    setattr(settings, given, "amqp://somewhere")

    refuse_contradictions("embedded", "sqlite")


def test_two_databases_are_one_too_many(settings):
    settings.DATABASE_URL = "postgresql://somewhere"

    with pytest.raises(Refused, match="DATABASE_URL is set and --database postgres"):
        refuse_contradictions("embedded", "postgres")


@pytest.mark.parametrize(
    ("option", "package"), [("broker", "rabbitmq-server"), ("database", "postgresql")]
)
def test_a_server_that_is_not_installed_is_answered_with_how_to_install_it(
    tmp_path, settings, monkeypatch, option, package
):
    settings.BROKER_URL = settings.DATABASE_URL = settings.REDIS_URL = ""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(postgres, "_DEBIAN", tmp_path / "absent")
    monkeypatch.setattr(rabbitmq, "_PROGRAM_DIRECTORIES", ())
    server = {"broker": "rabbitmq", "database": "postgres"}[option]
    wishes = Wishes(state_dir=tmp_path, web_port=1, **{option: server})

    with pytest.raises(BinaryMissing, match=f"apt-get install {package}"):
        choose_servers(wishes)


def test_nothing_is_embedded_beside_named_services(tmp_path, settings):
    settings.BROKER_URL, settings.REDIS_URL = "amqp://b", "redis://r"

    assert choose_servers(Wishes(state_dir=tmp_path, web_port=1)) == servers.Servers()


def test_a_named_broker_still_gets_an_embedded_store(tmp_path, settings):
    settings.BROKER_URL, settings.REDIS_URL = "amqp://b", ""

    chosen = choose_servers(Wishes(state_dir=tmp_path, web_port=1))

    assert set(chosen.environment) == {"REDIS_URL"}


def test_a_state_directory_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")

    ended = up(tmp_path / "file" / "state")

    assert ended.returncode == 2
    assert "set ANSF_STATE_DIR" in ended.stderr
    assert ended.stderr.count("\n") == 1

"""docker-compose.yml fits the specification, the settings and the commands of the code."""

from __future__ import annotations

import importlib
import subprocess
import sys

import dj_database_url
import pytest
from django.core.management import get_commands, load_command_class
from kombu.utils.url import parse_url

from tests.architecture.sources import ROOT
from tests.containers import compose
from tests.environment import variables

REQUIRED = ("DATABASE_URL", "BROKER_URL", "REDIS_URL", "SECRET_KEY")
SECRETS = {name: f"{number}x7f" for number, name in enumerate(compose.asked_for())}
# Variables of the servers' images and of Flower, which their own documentation names.
OF_IMAGES = {
    "postgres": {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"},
    "rabbitmq": {"RABBITMQ_DEFAULT_USER", "RABBITMQ_DEFAULT_PASS"},
    "redis": {"REDIS_PASSWORD"},
    "flower": {"FLOWER_ADDRESS", "FLOWER_PORT", "FLOWER_BASIC_AUTH", "FLOWER_BROKER_API"},
}
ALL = {
    *("postgres", "rabbitmq", "redis", "prepare", "web"),
    *("coordinator", "watch", "worker-cpu", "worker-io", "flower"),
}


def needed() -> dict[str, str]:
    return {name: SECRETS[name] for name, required in compose.asked_for().items() if required}


@pytest.fixture(scope="module")
def whole():
    return compose.load(needed())


@pytest.fixture(scope="module")
def services(whole):
    return whole["services"]


@pytest.fixture(scope="module")
def ours(services):
    return {name: service for name, service in services.items() if service["image"] == "ansf"}


def test_the_file_has_the_shape_of_the_specification(whole):
    assert compose.flaws(whole) == []


def test_every_part_has_its_service(services):
    assert set(services) == ALL


@pytest.mark.parametrize("name", sorted(needed()))
def test_it_does_not_start_without_a_secret(name):
    given = needed()
    del given[name]

    with pytest.raises(compose.VariableMissing, match=name):
        compose.load(given)


def test_no_secret_is_in_the_file():
    for name, required in compose.asked_for().items():
        secret = any(word in name for word in ("PASSWORD", "SECRET"))
        assert required == secret, name


def test_every_setting_given_to_our_processes_is_one_that_the_code_reads(ours):
    for name, service in ours.items():
        unknown = set(service["environment"]) - variables() - OF_IMAGES.get(name, set())
        assert unknown == set(), name


def test_every_required_setting_is_given(ours):
    for name, service in ours.items():
        assert set(REQUIRED) <= set(service["environment"]), name


def test_foreign_images_get_only_what_they_know(services, ours):
    for name in services.keys() - ours.keys():
        assert set(services[name]["environment"]) <= OF_IMAGES[name]


def test_the_settings_can_be_read_with_what_a_service_is_given(ours):
    ended = subprocess.run(
        (sys.executable, "-c", "from ansf_platform import settings as s; print(s.DEBUG)"),
        cwd=ROOT,
        env={name: str(value) for name, value in ours["web"]["environment"].items()},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert ended.stdout == "False\n"


def test_the_addresses_lead_to_the_services_with_their_passwords(services, ours):
    given = ours["web"]["environment"]
    database = dj_database_url.parse(given["DATABASE_URL"])
    broker, store = parse_url(given["BROKER_URL"]), parse_url(given["REDIS_URL"])

    assert database["HOST"] == "postgres"
    assert database["PASSWORD"] == services["postgres"]["environment"]["POSTGRES_PASSWORD"]
    assert (database["USER"], database["NAME"]) == ("ansf", "ansf")
    assert (broker["hostname"], broker["port"]) == ("rabbitmq", 5672)
    assert broker["password"] == services["rabbitmq"]["environment"]["RABBITMQ_DEFAULT_PASS"]
    assert store["hostname"] == "redis"
    assert store["password"] == services["redis"]["environment"]["REDIS_PASSWORD"]


def test_every_condition_can_come_true(services):
    for name, service in services.items():
        for other, wanted in service.get("depends_on", {}).items():
            condition = wanted["condition"]
            if condition == "service_healthy":
                assert "healthcheck" in services[other], f"{name} waits for {other}"
            if condition == "service_completed_successfully":
                assert services[other]["restart"] == "no", f"{name} waits for {other}"


def test_nobody_waits_for_who_waits_for_them(services):
    def above(name, path=()):
        assert name not in path, f"{' → '.join(path)} → {name}"
        for other in services[name].get("depends_on", {}):
            above(other, (*path, name))

    for name in services:
        above(name)


def test_all_of_ours_wait_for_the_tables(ours):
    for name in ours.keys() - {"prepare"}:
        assert "prepare" in ours[name]["depends_on"], name


def test_every_volume_is_declared_and_used(whole):
    mounted = {
        volume.split(":")[0]
        for service in whole["services"].values()
        for volume in service.get("volumes", [])
    }

    assert mounted == set(whole["volumes"])


def test_ports_are_published_on_this_machine_only(services):
    ports = [port for service in services.values() for port in service.get("ports", [])]

    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_every_foreign_image_names_its_version(services, ours):
    for name in services.keys() - ours.keys():
        _, _, version = services[name]["image"].partition(":")
        assert version[:1].isdigit(), name


def test_every_command_exists_and_takes_its_arguments(ours):
    commands = get_commands()
    for name, service in ours.items():
        words = service.get("command")
        if words is None or words[0] == "celery":
            continue
        assert words[:2] == ["python", "manage.py"], name
        command = load_command_class(commands[words[2]], words[2])
        command.create_parser("manage.py", words[2]).parse_args(words[3:])


def test_flower_is_started_for_an_application_that_exists(ours):
    words = ours["flower"]["command"]
    module = words[words.index("--app") + 1]

    assert words[0] == "celery"
    assert words[-1] == "flower"
    assert importlib.import_module(module).app.main == "ansf"


def test_the_pages_are_asked_where_the_server_listens(services):
    check = " ".join(services["web"]["healthcheck"]["test"])

    assert "127.0.0.1:8053/livez" in check
    assert services["web"]["ports"][0].endswith(":8053")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"services": {}}, "services"),
        ({"services": {"a": {"image": "x", "comand": "y"}}}, "comand"),
        ({"services": {"a": {"command": "y"}}}, "a"),
        ({"services": {"a": {"image": "x", "restart": "never"}}}, "restart"),
        ({"services": {"a": {"image": "x", "healthcheck": {"interval": "5s"}}}}, "test"),
        ({"services": {"a": {"image": "x", "ports": ["eighty"]}}}, "ports"),
        ({"version-of-file": 3, "services": {"a": {"image": "x"}}}, "version-of-file"),
    ],
)
def test_a_file_of_another_shape_is_found(change, words):
    assert any(words in flaw for flaw in compose.flaws(change))

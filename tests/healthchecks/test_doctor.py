"""What `doctor` says and the code it ends with; `check` on the command line."""

from __future__ import annotations

import json
import socket
from datetime import timedelta

import pytest
from django.utils import timezone

from ansf_platform.services.ports import free_port
from healthchecks import doctor, environment
from healthchecks.defaults import ensure_default_checks
from healthchecks.definitions import COMMAND, create
from healthchecks.environment import ENVIRONMENT, Finding, look
from healthchecks.models import HealthCheck
from healthchecks.monitor import State
from healthchecks.probes.measurement import Measurement
from healthchecks.recording import Measured, record
from healthchecks.spec import CheckSpec


def finding(state, **more):
    return Finding("it", state, "is so", **more)


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        ([], State.OK),
        ([State.OK, State.OK], State.OK),
        ([State.OK, State.DEGRADED], State.DEGRADED),
        ([State.FAILED, State.DEGRADED], State.FAILED),
    ],
)
def test_the_verdict_is_the_worst_finding(states, verdict):
    assert doctor.verdict([finding(state) for state in states]) is verdict


def test_what_only_informs_does_not_decide():
    assert doctor.verdict([finding(State.FAILED, matters=False)]) is State.OK


@pytest.mark.django_db
def test_every_probe_is_run_once_default_or_not_and_nothing_is_recorded(
    listener, django_assert_num_queries
):
    spec = CheckSpec(name="port", kind="tcp", target=listener.target, severity="info")
    create(None, spec, COMMAND)

    findings = {each.name: each for each in doctor.examine()}

    assert findings["port"].state is State.OK
    assert not findings["port"].matters
    assert {"database", "broker", "redis", "coordinator", "disk", "memory"} <= set(findings)
    assert {"python", "packages", "kernels", "migrations", "clock"} <= set(findings)
    assert doctor.checks_to_run()[0].kind == "database"


@pytest.mark.django_db
def test_everything_that_is_not_ok_comes_with_a_fix(settings):
    settings.BROKER_URL = settings.REDIS_URL = ""

    bad = [each for each in doctor.examine() if each.state is not State.OK]

    assert {"broker", "redis", "coordinator", "workers-cpu"} <= {each.name for each in bad}
    assert all(each.fix for each in bad)


@pytest.mark.django_db
def test_what_only_the_running_system_can_reach_is_told_as_its_watch_read_it(settings):
    settings.BROKER_URL = settings.REDIS_URL = ""
    ensure_default_checks()
    for name in ("broker", "redis"):
        row = HealthCheck.objects.get(name=name)
        seen = Measurement(State.OK if name == "redis" else State.DEGRADED, "seen")
        age = timedelta(hours=1) if name == "broker" else timedelta(seconds=2)
        record(Measured(row.pk, row.revision, timezone.now() - age, seen, 1.0))
    HealthCheck.objects.update(counted_since=timezone.now() - timedelta(hours=2))

    findings = {each.name: each for each in doctor.examine()}

    assert "read by the watch" in findings["redis"].message
    assert findings["redis"].state is State.OK
    assert "BROKER_URL is not set" in findings["broker"].message  # that reading is old


def test_a_look_that_raises_is_a_finding():
    def check_the_impossible():
        raise LookupError("nowhere")

    found = look(check_the_impossible)

    assert found.name == "the impossible"
    assert "nowhere" in found.message


@pytest.mark.parametrize("check", [environment.check_packages, environment.check_kernels])
def test_this_checkout_can_be_looked_at(check):
    assert look(check) in [
        found for found in [look(check)] if found.message and "Error" not in found.message
    ]


def test_packages_that_are_missing_or_not_as_pinned_are_named(settings, tmp_path):
    settings.BASE_DIR = tmp_path
    pins = tmp_path / "requirements.txt"

    pins.write_text("# a comment\ndjango==0.9\n    # via x\n")
    other = environment.check_packages()
    pins.write_text('nobody-made-this==1.0 ; python_version > "3"\n')
    missing = environment.check_packages()

    assert other.state is State.DEGRADED
    assert "pinned 0.9" in other.message
    assert missing.state is State.FAILED
    assert "nobody-made-this" in missing.message


def test_a_port_taken_by_something_else_is_degraded(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setattr(environment, "WEB_PORT", other.getsockname()[1])
        monkeypatch.setattr(environment, "PATIENCE", 0.2)

        found = environment.check_web_port()

    assert found.state is State.DEGRADED
    assert found.fix


def test_a_port_where_this_system_answers_is_ok(monkeypatch, site):
    site.page("/livez", body=b'{"status": "alive"}')
    monkeypatch.setattr(environment, "WEB_PORT", site.port)

    assert environment.check_web_port().state is State.OK


@pytest.mark.parametrize(
    ("debug", "url", "key", "state"),
    [
        (True, "", "short", State.OK),
        (True, "postgres://x", "k" * 50, State.DEGRADED),
        (False, "postgres://x", "short", State.DEGRADED),
        (False, "postgres://x", "k" * 50, State.OK),
    ],
)
def test_debug_and_secret_key_fit_the_purpose(settings, debug, url, key, state):
    settings.DEBUG, settings.DATABASE_URL, settings.SECRET_KEY = debug, url, key

    assert environment.check_settings().state is state


@pytest.mark.django_db
def test_a_clock_that_differs_is_degraded(monkeypatch):
    monkeypatch.setattr(environment.sql, "fetch", lambda _query: [{"seconds": 1.0}])

    found = environment.check_clock()

    assert found.state is State.DEGRADED
    assert "NTP" in found.fix


@pytest.mark.valkey
def test_the_profile_of_the_broker_is_told(settings, fresh_valkey):
    settings.BROKER_URL = fresh_valkey().url

    assert "profile redis" in environment.check_broker_profile().message


def test_a_state_directory_that_cannot_be_made_is_failed(settings, tmp_path):
    (tmp_path / "file").write_text("")
    settings.STATE_DIR = tmp_path / "file" / "below"

    assert environment.check_state_directory().state is State.FAILED


# --- as processes ---------------------------------------------------------------------------
@pytest.mark.slow
def test_doctor_shows_a_line_for_each_and_ends_with_3_when_something_is_wrong(migrated):
    plain = migrated.run("doctor")
    parsed = migrated.run("doctor", "--json")

    assert (plain.returncode, parsed.returncode) == (3, 3)
    told = json.loads(parsed.stdout)
    assert told["state"] == "failed"
    assert len(plain.stdout.splitlines()) == len(told["findings"]) > len(ENVIRONMENT)
    assert "→ start one: manage.py coordinate" in plain.stdout
    assert "Traceback" not in plain.stderr + parsed.stderr


@pytest.mark.slow
def test_doctor_without_any_server_says_so_without_a_traceback_or_a_password(installation):
    port = free_port()
    here = installation(
        DATABASE_URL=f"postgres://ansf:hidden@127.0.0.1:{port}/ansf",
        BROKER_URL=f"amqp://ansf:hidden@127.0.0.1:{port}//",
        REDIS_URL=f"redis://:hidden@127.0.0.1:{port}/0",
        SECRET_KEY="k" * 50,
    )

    answer = here.run("doctor", "--json")

    assert answer.returncode == 3, answer.stderr
    assert "Traceback" not in answer.stderr
    assert "hidden" not in answer.stdout + answer.stderr
    states = {each["name"]: each["state"] for each in json.loads(answer.stdout)["findings"]}
    assert states["database"] == states["broker"] == states["redis"] == "failed"
    assert states["disk"] in {"ok", "degraded"}


@pytest.mark.slow
def test_check_runs_lists_and_applies_with_exit_codes(migrated, listener, tmp_path):
    here = migrated
    good = tmp_path / "good.yaml"
    good.write_text(f"- {{name: port, kind: tcp, target: '{listener.target}'}}")
    bad = tmp_path / "bad.yaml"
    bad.write_text("- {name: port, kind: tcp, target: nowhere, fal: 1}")

    dry = here.run("check", "apply", str(good), "--dry-run")
    unknown = here.run("check", "run", "port")
    applied = here.run("check", "apply", str(good))
    ok = here.run("check", "run", "port", "--json")
    listener.stop()
    failed = here.run("check", "run", "port")
    refused = here.run("check", "apply", str(bad))
    absent = here.run("check", "apply", str(tmp_path / "none.yaml"))
    here.run("check", "apply", "-", stdin="- {name: redis, kind: redis}")
    unreachable = here.run("check", "run", "redis")

    assert dry.stdout.strip() == applied.stdout.strip() == "+ port"
    assert [unknown.returncode, applied.returncode, ok.returncode] == [2, 0, 0]
    assert json.loads(ok.stdout)["flip"] == "unknown → ok"
    assert failed.returncode == 3
    assert "fix" in failed.stdout
    assert [refused.returncode, absent.returncode, unreachable.returncode] == [2, 2, 2]
    assert "REDIS_URL" in unreachable.stderr
    for answer in (unknown, refused, absent, unreachable):
        assert len(answer.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_check_without_a_verb_is_still_djangos(installation):
    answer = installation().run("check")

    assert answer.returncode == 0
    assert "no issues" in answer.stdout

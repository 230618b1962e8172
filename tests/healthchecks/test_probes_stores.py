"""Probes of database, broker and Redis against real servers that are stopped or full."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from kombu import Connection

from ansf_platform.celery import POOLS, profile_for
from healthchecks.monitor import State
from healthchecks.probes import measure


def look(check):
    return measure(check, timezone.now())


@pytest.mark.django_db
def test_a_migrated_database_is_ok(unsaved):
    found = look(unsaved("database"))

    assert found.state is State.OK
    assert "migrations applied" in found.message


@pytest.mark.django_db
def test_a_missing_migration_is_failed_and_named(unsaved):
    MigrationRecorder(connection).record_unapplied("healthchecks", "0001_initial")

    found = look(unsaved("database"))

    assert found.state is State.FAILED
    assert "healthchecks.0001_initial" in found.message
    assert "migrate" in found.fix


@pytest.mark.parametrize(("kind", "variable"), [("redis", "REDIS_URL"), ("broker", "BROKER_URL")])
def test_a_server_that_nobody_named_is_failed_with_the_variable(settings, unsaved, kind, variable):
    setattr(settings, variable, "")

    found = look(unsaved(kind))

    assert found.state is State.FAILED
    assert variable in found.message


@pytest.mark.parametrize(
    ("kind", "variable", "url"),
    [
        ("redis", "REDIS_URL", "redis://:secret@{}/0"),
        ("broker", "BROKER_URL", "redis://:secret@{}/0"),
        ("broker", "BROKER_URL", "amqp://ansf:secret@{}//"),
    ],
)
def test_a_server_that_is_away_is_failed_without_naming_the_password(
    settings, unsaved, listener, kind, variable, url
):
    listener.stop()
    setattr(settings, variable, url.format(listener.target))

    found = look(unsaved(kind))

    assert found.state is State.FAILED
    assert "secret" not in found.message + found.fix


@pytest.mark.parametrize(
    ("kind", "variable", "url"),
    [
        ("redis", "REDIS_URL", "redis://{}/0"),
        ("broker", "BROKER_URL", "redis://{}/0"),
        ("broker", "BROKER_URL", "amqp://{}//"),
    ],
)
def test_a_server_that_accepts_but_never_answers_is_failed_in_time(
    settings, unsaved, listener, kind, variable, url
):
    setattr(settings, variable, url.format(listener.target))

    found = look(unsaved(kind, timeout_seconds=0.4))

    assert found.state is State.FAILED


@pytest.mark.valkey
def test_valkey_is_ok_until_it_is_stopped_and_again_when_it_is_back(
    settings, unsaved, fresh_valkey
):
    server = fresh_valkey()
    settings.REDIS_URL = settings.BROKER_URL = server.url
    checks = [unsaved("redis"), unsaved("broker")]

    states = [[look(check).state for check in checks]]
    server.kill()
    states.append([look(check).state for check in checks])
    server.start()
    states.append([look(check).state for check in checks])

    assert states == [[State.OK] * 2, [State.FAILED] * 2, [State.OK] * 2]


@pytest.mark.valkey
def test_a_paused_valkey_is_failed_in_time(settings, unsaved, fresh_valkey):
    server = fresh_valkey()
    settings.REDIS_URL = settings.BROKER_URL = server.url
    server.pause()
    try:
        found = [look(unsaved(kind, timeout_seconds=0.5)) for kind in ("redis", "broker")]
    finally:
        server.resume()

    assert [each.state for each in found] == [State.FAILED] * 2


@pytest.mark.rabbitmq
def test_rabbitmq_without_our_queues_is_degraded_and_with_them_ok(
    settings, unsaved, fresh_rabbitmq
):
    server = fresh_rabbitmq()
    settings.BROKER_URL = server.url
    check = unsaved("broker", timeout_seconds=5.0)

    before = look(check)
    declare_queues(server.url)
    after = look(check)

    assert before.state is State.DEGRADED
    assert "no queue" in before.message
    assert after.state is State.OK

    server.ctl("set_disk_free_limit", "900GB")
    blocked = look(check)
    assert blocked.state is State.FAILED
    assert "blocks publishers" in blocked.message


def declare_queues(url):
    with Connection(url) as broker:
        broker.connect()
        profile = profile_for(broker.connection.server_properties, broker.transport_cls)
        for pool in POOLS:
            profile.queue(pool)(broker.default_channel).declare()

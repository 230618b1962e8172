from __future__ import annotations

import pytest

from ansf_platform.celery import (
    CLASSIC,
    QUORUM,
    REDIS,
    BrokerUnreachable,
    probe_profile,
    profile_for,
)
from ansf_platform.services.ports import free_port


@pytest.mark.parametrize(
    ("version", "profile"),
    [("3.10.8", CLASSIC), ("4.2.1", CLASSIC), ("4.3.0", QUORUM), ("5.0", QUORUM), ("", CLASSIC)],
)
def test_the_servers_version_chooses_the_queues(version, profile):
    assert profile_for({"version": version}, "amqp") is profile


def test_nine_is_most_urgent_on_every_broker():
    assert [CLASSIC.priority(level) for level in (0, 9)] == [0, 9]
    assert [QUORUM.priority(level) for level in (0, 9)] == [0, 9]
    assert [REDIS.priority(level) for level in (0, 9)] == [9, 0]


def test_queues_with_other_arguments_have_other_names():
    assert CLASSIC.queue("cpu").queue_arguments == {"x-max-priority": 10}
    assert QUORUM.queue("cpu").queue_arguments == {"x-queue-type": "quorum"}
    assert CLASSIC.queue_name("cpu") != QUORUM.queue_name("cpu")


@pytest.mark.parametrize("scheme", ["amqp", "redis"])
def test_a_broker_that_is_away_is_named_without_its_password(scheme):
    url = f"{scheme}://user:secret@127.0.0.1:{free_port()}/"

    with pytest.raises(BrokerUnreachable, match=r"no broker answers") as caught:
        probe_profile(url, patience=0.0)

    assert "secret" not in str(caught.value)


@pytest.mark.rabbitmq
@pytest.mark.valkey
def test_a_broker_at_the_first_try_is_recognised(rabbitmq, valkey):
    assert probe_profile(rabbitmq.url) is CLASSIC
    assert probe_profile(valkey.url) is REDIS

from __future__ import annotations

from contextlib import ExitStack

import pytest

from ansf_platform.services.errors import BinaryMissing
from tests import services_fixtures


class Absent:
    def __enter__(self):
        raise BinaryMissing("RabbitMQ", "rabbitmq-server", "nowhere")

    def __exit__(self, *_):
        pytest.fail("never entered")


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_an_absent_server_skips_a_test_but_fails_it_in_ci(monkeypatch, ci, outcome):
    monkeypatch.setenv("CI", ci)

    with pytest.raises(outcome, match="apt-get install rabbitmq-server"):
        services_fixtures._enter(ExitStack(), Absent())


@pytest.mark.valkey
def test_a_shared_server_is_one_and_fresh_ones_are_many(valkey, request, fresh_valkey):
    assert request.getfixturevalue("valkey") is valkey
    assert len({valkey.port, fresh_valkey().port, fresh_valkey().port}) == 3

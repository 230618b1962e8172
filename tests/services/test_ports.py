from __future__ import annotations

import socket

import pytest

from ansf_platform.services import ports


@pytest.fixture
def listener():
    with socket.create_server((ports.LOOPBACK, ports.free_port())) as server:
        yield server


def test_a_port_somebody_listens_on_is_not_free(listener):
    assert not ports.is_free(listener.getsockname()[1])


def test_a_preferred_port_is_taken_when_free_and_replaced_when_not(listener):
    taken = listener.getsockname()[1]
    free = ports.free_port()

    assert ports.choose_port(free) == free
    assert ports.choose_port(taken) != taken


def test_free_ports_are_distinct_and_can_be_listened_on():
    given = ports.free_ports(20)

    assert len(set(given)) == 20
    assert all(map(ports.is_free, given))


def test_free_ports_lie_outside_the_range_of_outgoing_connections(monkeypatch, tmp_path):
    ephemeral = tmp_path / "range"
    ephemeral.write_text("20000\t60999\n")
    monkeypatch.setattr(ports, "_EPHEMERAL_RANGE", ephemeral)

    assert max(ports.free_ports(100)) < 20_000


@pytest.mark.parametrize("content", ["", "nonsense", "1024 65535"])
def test_an_ephemeral_range_that_leaves_no_room_is_not_believed(content, monkeypatch, tmp_path):
    ephemeral = tmp_path / "range"
    ephemeral.write_text(content)
    monkeypatch.setattr(ports, "_EPHEMERAL_RANGE", ephemeral)

    assert 1_024 < ports.free_port() < 32_768


def test_a_machine_without_a_free_port_is_an_error_that_says_where_it_looked(monkeypatch):
    monkeypatch.setattr(ports, "is_free", lambda _port: False)

    with pytest.raises(OSError, match=r"no free port between 10240 and \d+ on 127\.0\.0\.1"):
        ports.free_port()

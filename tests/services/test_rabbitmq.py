from __future__ import annotations

import contextlib

import amqp
import psutil
import pytest

from ansf_platform.services.errors import CommandFailed, NotRunning
from ansf_platform.services.probes import http_answers

pytestmark = pytest.mark.rabbitmq


def processes_at_home_in(directory):
    """Erlang programs are told apart by where they look for their cookie."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("HOME") == str(directory):
                found.append(process)
    return found


def connect(server):
    return amqp.Connection(
        f"127.0.0.1:{server.port}",
        userid=server.user,
        password=server.password,
        confirm_publish=True,
        read_timeout=10,
    )


@pytest.mark.fault
def test_a_confirmed_durable_message_survives_a_kill(fresh_rabbitmq):
    server = fresh_rabbitmq(management=False)
    with connect(server) as connection:
        channel = connection.channel()
        channel.queue_declare("work", durable=True, auto_delete=False)
        # Declarations reach the disk two seconds late; messages before their confirmation.
        server.ctl("eval", "mnesia:sync_log().")
        channel.basic_publish(amqp.Message("kept", delivery_mode=2), routing_key="work")

    server.kill()
    server.start()

    with connect(server) as connection:
        message = connection.channel().basic_get("work", no_ack=True)
        assert message.body == "kept"


def test_its_epmd_is_its_own_and_ends_with_it(fresh_rabbitmq):
    server = fresh_rabbitmq(management=False)
    epmd = psutil.Process(server.epmd_pid)
    server.ctl("status")
    assert processes_at_home_in(server.directory)

    server.stop()

    assert not epmd.is_running()
    assert server.epmd_pid is None
    assert processes_at_home_in(server.directory) == []


@pytest.mark.fault
def test_its_epmd_survives_a_kill_of_the_node(fresh_rabbitmq):
    server = fresh_rabbitmq(management=False)
    epmd = server.epmd_pid

    server.kill()
    assert server.epmd_pid == epmd
    with pytest.raises(NotRunning):
        server.ctl("status")
    server.start()

    assert server.epmd_pid == epmd


def test_its_own_command_line_tool_reaches_it(rabbitmq):
    assert "ansf" in rabbitmq.ctl("list_users")


def test_a_refused_command_tells_what_the_tool_said(rabbitmq):
    with pytest.raises(CommandFailed, match="rabbitmqctl no_such_command ended with 64"):
        rabbitmq.ctl("no_such_command")


def test_a_wrong_password_is_refused(rabbitmq):
    with pytest.raises(amqp.AccessRefused):
        amqp.Connection(f"127.0.0.1:{rabbitmq.port}", userid="ansf", password="x").connect()


def test_the_management_plugin_answers(rabbitmq):
    assert http_answers(rabbitmq.management_url)


def test_its_secrets_are_private(rabbitmq):
    for name in ("password", "rabbitmq.conf", ".erlang.cookie"):
        assert (rabbitmq.directory / name).stat().st_mode & 0o077 == 0

"""`manage.py up` as a user meets it: real processes, real ports, real signals."""

from __future__ import annotations

import signal
import socket
import subprocess

import httpx
import psutil
import pytest

from ansf_platform.services.ports import free_port
from ansf_platform.services.probes import http_answers, wait_until
from tests.first_run.conftest import (
    all_gone,
    answers,
    await_children,
    ended_in_order,
    password_in,
)

pytestmark = [pytest.mark.valkey, pytest.mark.slow]


def again(up, *arguments, env=None):
    return subprocess.run(
        up.command(*arguments),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**up.environment, **(env or {})},
    )


def test_web_answers_when_the_banner_is_shown(shared_up):
    assert httpx.get(f"{shared_up.url}livez").status_code == 200
    assert httpx.get(f"{shared_up.url}admin/login/").status_code == 200


def test_the_banner_says_where_data_lies_what_is_not_durable_and_how_to_switch(shared_up):
    banner = shared_up.out

    for word in (
        shared_up.url,
        "ansf.sqlite3",
        "not durable",
        "--broker rabbitmq",
        "DATABASE_URL=",
    ):
        assert word in banner


def test_the_printed_password_signs_in(shared_up):
    address = f"{shared_up.url}admin/login/"
    with httpx.Client() as browser:
        browser.get(address)
        form = {
            "username": "admin",
            "password": password_in(shared_up.out),
            "csrfmiddlewaretoken": browser.cookies["csrftoken"],
        }
        signed_in = browser.post(address, data=form, headers={"Referer": address})

        assert signed_in.status_code == 302
        assert browser.get(f"{shared_up.url}admin/").status_code == 200


def test_every_part_runs_and_listens_on_this_machine_only(shared_up):
    children = await_children(shared_up, 7)

    assert set(children) == {
        "web", "valkey", "cpu-worker", "io-worker", "coordinator", "watch", "flower",
    }  # fmt: skip
    shared_up.await_word("leads with term 1")
    listening = {
        connection.laddr.ip
        for process in shared_up.family()
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_flower_asks_for_its_password_and_no_secret_is_an_argument(shared_up):
    flower = shared_up.told["Flower"]
    assert answers(flower)
    assert httpx.get(flower).status_code == 401

    secret = (shared_up.state / "flower-password").read_text()
    assert httpx.get(flower, auth=("admin", secret)).status_code == 200
    store = (shared_up.state / "valkey" / "password").read_text()
    arguments = " ".join(word for process in shared_up.family() for word in process.cmdline())
    assert secret not in arguments
    assert store not in arguments


def test_a_second_one_says_where_the_first_runs(shared_up):
    second = again(shared_up)

    assert second.returncode == 1
    assert shared_up.url in second.stderr
    assert str(shared_up.process.pid) in second.stderr
    assert http_answers(f"{shared_up.url}livez")


def test_a_taken_port_is_told_with_the_one_used_instead(make_up):
    taken = free_port()
    with socket.create_server(("127.0.0.1", taken)):
        up = make_up("--no-flower", port=taken).await_banner()

        assert f"port {taken}, meant for the pages, is taken: using " in up.err
        assert f":{taken}/" not in up.url
        assert http_answers(f"{up.url}livez")


def test_an_interrupt_stops_everything_in_order(make_up):
    up = make_up("--cpu", "1", "--io", "2").await_banner()
    members = await_children(up, 7)
    family = up.family()
    up.await_word("kernels ready")

    up.process.send_signal(signal.SIGINT)
    order = ended_in_order(members)

    assert up.process.wait(10) == 0
    stages = [{"coordinator", "watch", "flower"}, {"cpu-worker", "io-worker"}, {"web", "valkey"}]
    assert [set(order[:3]), set(order[3:5]), set(order[5:])] == stages
    assert all_gone(family) == []
    assert not (up.state / "up.json").exists()


def test_a_killed_one_leaves_no_process_behind_and_can_be_started_again(make_up):
    up = make_up("--cpu", "1", "--io", "2").await_banner()
    await_children(up, 7)
    up.await_word("kernels ready")
    family = up.family()

    up.process.kill()
    up.process.wait()

    assert all_gone(family) == []
    up.start().await_banner()
    assert "as created before" in up.out
    assert up.interrupt() == 0


def test_an_ended_part_is_started_again(make_up):
    up = make_up("--no-flower", "--cpu", "1", "--io", "2").await_banner()
    first = await_children(up, 6)["watch"]

    first.kill()

    up.await_word("watch was ended by SIGKILL; starting it again")
    assert wait_until(lambda: up.children().get("watch", first).pid != first.pid, 20)


def test_named_services_are_used_and_nothing_is_started_for_them(make_up, valkey):
    env = {"BROKER_URL": valkey.database_url(14), "REDIS_URL": valkey.database_url(15)}
    up = make_up("--no-flower", "--cpu", "1", "--io", "2", env=env).await_banner()

    assert set(await_children(up, 5)) == {
        "web", "cpu-worker", "io-worker", "coordinator", "watch",
    }  # fmt: skip
    assert "BROKER_URL" in up.out
    up.await_word("coordinator leads with term 1")
    assert up.interrupt() == 0


@pytest.mark.rabbitmq
@pytest.mark.postgres
def test_private_servers_keep_their_data_over_a_stop(make_up):
    arguments = ("--no-flower", "--broker", "rabbitmq", "--database", "postgres", "--io", "2")
    up = make_up(*arguments).await_banner()
    assert "private PostgreSQL" in up.out
    assert "private RabbitMQ: durable" in up.out
    password_in(up.out)
    family = up.family()
    up.await_word("coordinator leads with term 1")
    assert up.interrupt() == 0
    assert all_gone(family) == []

    up.start().await_banner()

    assert "as created before" in up.out
    assert up.interrupt() == 0

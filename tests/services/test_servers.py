"""What all three private servers promise alike; what one alone promises is in its own file."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from ansf_platform.services import postgres as postgres_module
from ansf_platform.services import rabbitmq as rabbitmq_module
from ansf_platform.services import valkey as valkey_module
from ansf_platform.services.errors import BinaryMissing, NotRunning, PortTaken
from ansf_platform.services.postgres import Postgres
from ansf_platform.services.probes import port_answers, wait_until
from ansf_platform.services.rabbitmq import RabbitMQ
from ansf_platform.services.valkey import Valkey

DEADLINE_S = 15.0
KINDS = [
    pytest.param("valkey", marks=pytest.mark.valkey),
    pytest.param("rabbitmq", marks=pytest.mark.rabbitmq),
    pytest.param("postgres", marks=pytest.mark.postgres),
]
# Starts a server, tells its processes, waits to be killed.
OWNER = (
    "import sys, time, psutil\n"
    "from ansf_platform.services.{kind} import {name}\n"
    "server = {name}().start()\n"
    "pids = [child.pid for child in psutil.Process().children(recursive=True)]\n"
    "print(server.directory, *pids, flush=True)\n"
    "{frozen}"
    "time.sleep(600)\n"
)
CLASSES = {"valkey": Valkey, "rabbitmq": RabbitMQ, "postgres": Postgres}


@pytest.fixture
def fresh(request):
    quick = {"rabbitmq": {"management": False}}

    def start(kind, **options):
        return request.getfixturevalue(f"fresh_{kind}")(**quick.get(kind, {}), **options)

    return start


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def listening_addresses(pid):
    return {
        connection.laddr.ip
        for connection in psutil.Process(pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }


@pytest.mark.parametrize("kind", KINDS)
def test_it_answers_when_start_returns_and_says_its_version(kind, request):
    server = request.getfixturevalue(kind)

    assert server.answers()
    assert server.version()[0].isdigit()


@pytest.mark.parametrize("kind", KINDS)
def test_it_listens_on_loopback_only(kind, request):
    server = request.getfixturevalue(kind)

    addresses = listening_addresses(server.pid)
    if kind == "rabbitmq":
        addresses |= listening_addresses(server.epmd_pid)

    assert "127.0.0.1" in addresses
    assert addresses <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("kind", KINDS)
def test_starting_what_runs_changes_nothing(kind, request):
    server = request.getfixturevalue(kind)
    before = server.pid

    assert server.start().pid == before


@pytest.mark.fault
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_killed_stopped_and_started_again_at_the_same_address(kind, fresh):
    server = fresh(kind)
    url, first = server.url, server.pid

    server.kill()
    assert not server.running
    assert not port_answers("127.0.0.1", server.port)
    with pytest.raises(NotRunning):
        server.pause()
    server.start()
    second = server.pid
    server.stop()
    assert not server.running
    server.start()

    assert server.url == url
    assert server.answers()
    assert len({first, second, server.pid}) == 3


@pytest.mark.fault
@pytest.mark.parametrize("kind", KINDS)
def test_paused_it_does_not_answer_and_resumed_it_does(kind, fresh):
    server = fresh(kind)

    server.pause()
    assert not server.answers()
    server.resume()

    assert wait_until(server.answers, DEADLINE_S)


@pytest.mark.fault
@pytest.mark.parametrize("kind", KINDS)
def test_leaving_the_block_ends_every_process_and_removes_a_temporary_directory(kind, fresh):
    server = fresh(kind)
    family = psutil.Process(server.pid).children(recursive=True)

    with server:
        pass

    assert not server.directory.exists()
    assert wait_until(lambda: all(gone(member.pid) for member in family), DEADLINE_S)


@pytest.mark.parametrize("kind", KINDS)
def test_a_directory_of_ones_own_is_kept(kind, fresh, tmp_path):
    server = fresh(kind, directory=tmp_path / "kept")

    server.stop()

    assert server.log_path.exists()
    if kind == "postgres":
        server.discard()  # run by root, part of it may lie elsewhere


@pytest.mark.fault
@pytest.mark.parametrize("frozen", [False, True], ids=["running", "paused"])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_it_outlives_an_owner_that_is_killed(kind, frozen, request):
    request.getfixturevalue(kind)  # skips where it is not installed
    code = OWNER.format(
        kind=kind,
        name=CLASSES[kind].__name__,
        frozen="server.pause(); print('paused', flush=True)\n" if frozen else "",
    )
    with subprocess.Popen((sys.executable, "-c", code), stdout=subprocess.PIPE) as owner:
        directory, *pids = owner.stdout.readline().split()
        if frozen:
            owner.stdout.readline()
        owner.kill()

    try:
        assert len(pids) >= 2, "the server and the reaper at least"
        assert wait_until(lambda: all(gone(int(pid)) for pid in pids), DEADLINE_S)
    finally:
        subprocess.run(("rm", "-rf", directory), check=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_port_that_is_taken_is_a_clear_error(kind, request):
    # The same kind of server, which would answer in the place of the one that cannot start.
    taken = request.getfixturevalue(kind).port

    with pytest.raises(PortTaken, match=f"port {taken} .* meant for {kind}, is taken"):
        CLASSES[kind](port=taken).__enter__()


@pytest.mark.parametrize(
    ("kind", "package"),
    [("valkey", "valkey-server"), ("rabbitmq", "rabbitmq-server"), ("postgres", "postgresql")],
)
def test_an_absent_program_is_an_error_that_names_the_package(kind, package, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(valkey_module, "get_binary_path", None)
    monkeypatch.setattr(rabbitmq_module, "_PROGRAM_DIRECTORIES", (str(tmp_path),))
    monkeypatch.setattr(postgres_module, "_DEBIAN", tmp_path)
    server = CLASSES[kind]()

    with pytest.raises(BinaryMissing, match=f"sudo apt-get install {package}"):
        server.__enter__()
    assert not server.directory.exists()

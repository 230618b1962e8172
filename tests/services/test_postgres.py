from __future__ import annotations

import os
import pwd
from contextlib import closing

import psutil
import psycopg
import pytest

from ansf_platform.services import homes
from ansf_platform.services import postgres as postgres_module
from ansf_platform.services.errors import ServiceError
from ansf_platform.services.postgres import Postgres, find_postgres, server_account

pytestmark = pytest.mark.postgres


def ask(url, statement):
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else None


@pytest.mark.fault
@pytest.mark.parametrize("durable", [True, False])
def test_a_committed_row_survives_a_kill(fresh_postgres, durable):
    server = fresh_postgres(durable=durable)
    ask(server.url, "CREATE TABLE kept (n int)")
    ask(server.url, "INSERT INTO kept VALUES (1)")

    server.kill()
    server.start()

    assert ask(server.url, "SELECT n FROM kept") == [(1,)]


def test_a_stop_disconnects_clients_that_linger(fresh_postgres):
    server = fresh_postgres()
    with closing(psycopg.connect(server.url)) as lingering:
        server.stop()

        with pytest.raises(psycopg.OperationalError):
            lingering.execute("SELECT 1")
    assert server.exit_code == 0


def test_an_immediate_stop_leaves_the_work_to_recovery(fresh_postgres):
    server = fresh_postgres()
    ask(server.url, "CREATE TABLE kept (n int)")

    server.stop(immediate=True)
    server.start()

    assert ask(server.url, "SELECT count(*) FROM kept") == [(0,)]
    assert "not properly shut down" in server.log_path.read_text()


@pytest.mark.fault
def test_kill_takes_backends_that_lead_their_own_sessions(fresh_postgres):
    server = fresh_postgres()
    with closing(psycopg.connect(server.url)) as connection:
        backend = psutil.Process(connection.info.backend_pid)

        server.kill()

    assert not backend.is_running() or backend.status() == psutil.STATUS_ZOMBIE


def test_settings_for_tests_keep_commits_synchronous(postgres):
    # A killed server must not lose what it confirmed: only power cuts are ruled out.
    assert ask(postgres.url, "SHOW fsync") == [("off",)]
    assert ask(postgres.url, "SHOW synchronous_commit") == [("on",)]


def test_a_setting_of_ones_own_wins(fresh_postgres):
    server = fresh_postgres(settings={"max_connections": "17"})

    assert ask(server.url, "SHOW max_connections") == [("17",)]


def test_a_database_is_created_and_dropped_under_its_users(postgres):
    url = postgres.create_database("a strange name")
    with closing(psycopg.connect(url)) as user:
        postgres.drop_database("a strange name")

        with pytest.raises(psycopg.OperationalError):
            user.execute("SELECT 1")


def test_a_wrong_password_is_refused(postgres):
    wrong = f"postgresql://ansf:wrong@127.0.0.1:{postgres.port}/ansf"

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_the_unix_socket_is_private_and_asks_for_the_password(postgres):
    socket = postgres.socket_directory
    assert socket.stat().st_mode & 0o077 == 0

    url = f"postgresql://ansf:{postgres.password}@/ansf?host={socket}&port={postgres.port}"
    assert ask(url, "SELECT 1") == [(1,)]
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url.replace(postgres.password, "wrong"))


def test_a_directory_too_deep_for_a_socket_works_over_tcp(fresh_postgres, tmp_path):
    server = fresh_postgres(directory=tmp_path / ("d" * 100))

    # Elsewhere means that root's server could not reach it, and there the path is short.
    assert server.socket_directory is None or server.home != server.directory
    assert server.answers()
    server.discard()


def test_the_password_is_private_and_the_copy_for_initdb_is_gone(postgres):
    assert (postgres.directory / "password").stat().st_mode & 0o077 == 0
    assert not (postgres.home / "initdb-password").exists()


def test_a_cluster_half_made_is_made_anew(fresh_postgres, tmp_path):
    probe = Postgres(tmp_path / "half")
    (probe.home / "cluster").mkdir()
    (probe.home / "cluster" / "remains").touch()

    server = fresh_postgres(directory=tmp_path / "half")

    assert server.answers()
    server.discard()


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs the server itself")
def test_as_root_the_server_runs_as_a_system_user(postgres):
    assert psutil.Process(postgres.pid).username() == server_account() != "root"


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs the server itself")
def test_as_root_in_an_unreachable_directory_the_cluster_lies_elsewhere(
    fresh_postgres, tmp_path, monkeypatch
):
    elsewhere = Postgres(durable=False)  # a temporary directory that the account can pass
    monkeypatch.setattr(homes, "_ELSEWHERE", elsewhere.directory / "homes")
    elsewhere.directory.chmod(0o711)
    sealed = tmp_path / "sealed"
    sealed.mkdir(mode=0o700)

    server = fresh_postgres(directory=sealed / "cluster")

    assert server.home.parent == elsewhere.directory / "homes"
    assert (server.directory / "LOCATION").read_text().strip() == str(server.home)
    home = server.home
    server.discard()
    assert not home.exists()
    elsewhere.discard()


def test_a_deleted_directory_resets_what_it_had_elsewhere(monkeypatch, tmp_path):
    monkeypatch.setattr(homes, "_ELSEWHERE", tmp_path / "elsewhere")
    monkeypatch.setattr(homes, "_can_pass", lambda *_: False)
    mine = tmp_path / "mine"
    home = homes.home_for(mine, "nobody")
    (home / "old cluster").touch()
    assert homes.home_for(mine, "nobody") == home
    assert (home / "old cluster").exists()

    (mine / "LOCATION").unlink()

    assert homes.home_for(mine, "nobody") == home
    assert not (home / "old cluster").exists()
    assert (home.with_suffix(".old") / "old cluster").exists()


def test_root_without_any_account_to_run_the_server_is_told_what_to_do(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwall", list)

    with pytest.raises(ServiceError, match="useradd --system postgres"):
        server_account()


def test_the_newest_installed_version_is_used(monkeypatch, tmp_path):
    for version in ("9.6", "15", "17", "beta"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin" / "postgres").touch()
    monkeypatch.setattr(postgres_module, "_DEBIAN", tmp_path)

    assert find_postgres("initdb") == tmp_path / "17" / "bin" / "initdb"

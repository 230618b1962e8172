"""The watch as real processes: a port that dies, a leader that dies, a database that goes away."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import threading
from contextlib import closing

import pytest

from ansf_platform.services.probes import wait_until

DEADLINE = 20.0  # seconds
HOLDER = """
    SELECT holder FROM coordination_lease
    WHERE name = 'watch' AND expires_at > strftime('%Y-%m-%d %H:%M:%f', 'now')
"""


def checks_of(here):
    answer = here.run("check", "list", "--json")
    assert answer.returncode == 0, answer.stderr
    return {row["name"]: row for row in json.loads(answer.stdout)["checks"]}


PORT = "- {{name: port, kind: tcp, target: '{}', interval: 1, timeout: 1, rise: 1, fall: 2}}"


@pytest.mark.slow
def test_a_watch_process_writes_readings_and_flips_when_a_port_dies_and_ends_on_sigterm(
    migrated, listener
):
    applied = migrated.run("check", "apply", "-", stdin=PORT.format(listener.target))
    assert applied.returncode == 0, applied.stderr
    with migrated.running("manage.py", "watch") as process:
        lines = follow(process)
        assert wait_until(lambda: said(lines, "port: unknown → ok"), DEADLINE)
        assert checks_of(migrated)["port"]["state"] == "ok"
        listener.stop()
        assert wait_until(lambda: said(lines, "port: ok → failed"), DEADLINE)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0

    found = checks_of(migrated)
    assert found["port"]["state"] == "failed"
    assert {"database", "watch", "disk"} <= set(found)
    assert not said(lines, "Traceback")


@pytest.mark.slow
def test_of_two_watches_one_measures_and_the_other_takes_over(migrated):
    with migrated.running("manage.py", "watch") as first:
        assert wait_until(lambda: holder_pid(migrated) == first.pid, DEADLINE)
        with migrated.running("manage.py", "watch") as second:
            lines = follow(second)
            assert wait_until(lambda: any("waiting" in line for line in lines), DEADLINE)
            assert holder_pid(migrated) == first.pid
            assert not any("→" in line for line in lines)

            first.kill()

            assert wait_until(lambda: holder_pid(migrated) == second.pid, DEADLINE)
            assert wait_until(lambda: any("leads with term 2" in line for line in lines), DEADLINE)
            second.send_signal(signal.SIGINT)
            assert second.wait(10) == 130


def follow(process):
    lines = []
    thread = threading.Thread(
        target=lambda: [lines.append(line) for line in iter(process.stderr.readline, "")],
        daemon=True,
    )
    thread.start()
    return lines


def holder_pid(here):
    with closing(sqlite3.connect(here.database)) as database:
        row = database.execute(HOLDER).fetchone()
    return int(row[0].split(":")[1]) if row else 0


DATABASE = "- {name: database, kind: database, interval: 1, timeout: 1, rise: 1, fall: 2}"


@pytest.mark.postgres
@pytest.mark.fault
def test_an_outage_of_the_database_is_in_its_history_afterwards(installation, fresh_postgres):
    server = fresh_postgres()
    here = installation(DATABASE_URL=server.create_database("watched"), SECRET_KEY="k" * 50)
    assert here.run("migrate", "-v0").returncode == 0
    assert here.run("check", "apply", "-", stdin=DATABASE).returncode == 0
    with here.running("manage.py", "watch") as process:
        lines = follow(process)
        assert wait_until(lambda: said(lines, "database: unknown → ok"), DEADLINE)
        server.stop(immediate=True)
        assert wait_until(lambda: said(lines, "the database cannot be used"), DEADLINE)
        # Two failed readings are due by then; nothing can be asked while there is no database.
        process_lives_for(process, seconds=4.0)
        server.start()

        assert wait_until(lambda: said(lines, "database: ok → failed"), DEADLINE)
        assert wait_until(lambda: said(lines, "database: failed → ok"), DEADLINE)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def said(lines, text):
    return any(text in line for line in lines)


def process_lives_for(process, seconds):
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(seconds)

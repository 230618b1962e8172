"""The watch as real processes: a port that dies, a leader that dies, a database that goes away."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from contextlib import contextmanager

import pytest

from ansf_platform.services.probes import wait_until

DEADLINE = 20.0  # seconds
HOLDER = (
    "from coordination.models import Lease; from django.db.models.functions import Now\n"
    "lease = Lease.objects.filter(name='watch', expires_at__gt=Now()).first()\n"
    "print(lease.holder.split(':')[1] if lease else 0)"
)


@contextmanager
def migrated(installation):
    here = installation()
    assert here.run("migrate", "-v0").returncode == 0
    yield here


def checks_of(here):
    answer = here.run("check", "list", "--json")
    assert answer.returncode == 0, answer.stderr
    return {row["name"]: row for row in json.loads(answer.stdout)["checks"]}


PORT = "- {{name: port, kind: tcp, target: '{}', interval: 1, timeout: 1, rise: 1, fall: 2}}"


@pytest.mark.slow
def test_a_watch_process_writes_readings_and_flips_when_a_port_dies_and_ends_on_sigterm(
    installation, listener
):
    with migrated(installation) as here:
        applied = here.run("check", "apply", "-", stdin=PORT.format(listener.target))
        assert applied.returncode == 0, applied.stderr
        with here.running("manage.py", "watch") as process:
            assert wait_until(
                lambda: checks_of(here)["port"]["state"] == "ok", DEADLINE, every_s=0.2
            )
            listener.stop()
            assert wait_until(
                lambda: checks_of(here)["port"]["state"] == "failed", DEADLINE, every_s=0.2
            )
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
            log = process.stderr.read()

    assert "port: unknown → ok" in log
    assert "port: ok → failed" in log
    assert {"database", "watch", "disk"} <= set(checks_of(here))
    assert "Traceback" not in log


@pytest.mark.slow
def test_of_two_watches_one_measures_and_the_other_takes_over(installation):
    with migrated(installation) as here, here.running("manage.py", "watch") as first:
        assert wait_until(lambda: holder_pid(here) == first.pid, DEADLINE, every_s=0.2)
        with here.running("manage.py", "watch") as second:
            lines = follow(second)
            assert wait_until(lambda: any("waiting" in line for line in lines), DEADLINE)
            assert holder_pid(here) == first.pid
            assert not any("→" in line for line in lines)

            first.kill()

            assert wait_until(lambda: holder_pid(here) == second.pid, DEADLINE, every_s=0.2)
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
    answer = here.run("shell", "-v0", "-c", HOLDER)
    return int(answer.stdout.strip() or 0)


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

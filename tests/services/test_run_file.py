from __future__ import annotations

import json
import os
import subprocess
import sys

import psutil
import pytest

from ansf_platform.services.errors import ServiceError
from ansf_platform.services.probes import wait_until
from ansf_platform.supervisor import AlreadyRunning, RunFile

OWNER = (
    "import sys, time\n"
    "from pathlib import Path\n"
    "from ansf_platform.supervisor import RunFile\n"
    "own = RunFile(Path(sys.argv[1])).claim({'dashboard': 'http://127.0.0.1:8053/'})\n"
    "print('claimed', flush=True)\n"
    "time.sleep(600)\n"
)


@pytest.fixture
def owner(tmp_path):
    with subprocess.Popen(
        (sys.executable, "-c", OWNER, str(tmp_path)), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"claimed\n"
        yield process
        process.kill()


def test_a_second_one_learns_where_the_first_is_reached(tmp_path, owner):
    with pytest.raises(AlreadyRunning) as refusal:
        RunFile(tmp_path).claim()

    assert refusal.value.running.pid == owner.pid
    assert "dashboard: http://127.0.0.1:8053/" in str(refusal.value)
    assert f"kill {owner.pid}" in str(refusal.value)


def test_anybody_can_ask_who_runs(tmp_path, owner):
    running = RunFile(tmp_path).read()

    assert running.pid == owner.pid
    assert running.told == {"dashboard": "http://127.0.0.1:8053/"}
    assert running.since.endswith("+00:00")


@pytest.mark.fault
def test_an_owner_that_was_killed_leaves_the_place_free(tmp_path, owner):
    owner.kill()
    owner.wait()

    assert RunFile(tmp_path).read() is None
    with RunFile(tmp_path).claim({"dashboard": "elsewhere"}) as mine:
        assert mine.read().pid == os.getpid()


def test_a_later_process_with_the_same_number_is_not_the_owner(tmp_path):
    facts = {"pid": os.getpid(), "created": psutil.Process().create_time() - 3600, "told": {}}
    (tmp_path / "run.json").write_text(json.dumps(facts))

    assert RunFile(tmp_path).read() is None
    RunFile(tmp_path).claim().release()


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"pid": 1}', '{"pid": "x"}'])
def test_a_file_that_makes_no_sense_is_nobodys(tmp_path, content):
    (tmp_path / "run.json").write_text(content)

    assert RunFile(tmp_path).read() is None


def test_what_was_told_can_be_replaced_and_goes_with_the_release(tmp_path):
    mine = RunFile(tmp_path).claim()
    mine.tell({"dashboard": "http://127.0.0.1:9000/"})
    told = RunFile(tmp_path).read().told
    mine.release()

    assert told == {"dashboard": "http://127.0.0.1:9000/"}
    assert RunFile(tmp_path).read() is None
    RunFile(tmp_path).claim().release()


def test_only_the_owner_may_tell(tmp_path):
    with pytest.raises(ServiceError, match="claim it first"):
        RunFile(tmp_path).tell({})


def test_one_that_is_just_starting_is_respected_before_it_has_told_anything(tmp_path, owner):
    (tmp_path / "run.json").unlink()

    with pytest.raises(AlreadyRunning, match="another process is just starting"):
        RunFile(tmp_path).claim()


@pytest.mark.fault
def test_of_many_that_claim_at_once_one_wins(tmp_path):
    claimants = [
        subprocess.Popen(
            (sys.executable, "-c", OWNER, str(tmp_path)),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(6)
    ]
    try:
        assert wait_until(lambda: sum(one.poll() is None for one in claimants) == 1, 30)
        assert RunFile(tmp_path).read().pid in {one.pid for one in claimants if one.poll() is None}
    finally:
        for one in claimants:
            one.kill()
            one.communicate()

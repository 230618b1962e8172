from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from ansf_platform.services.errors import NotRunning, StartFailed
from ansf_platform.services.probes import wait_until
from ansf_platform.services.process import (
    Launch,
    run_to_end,
    spawn,
    spawn_logged,
    tail,
    wait_ready,
)

DEADLINE_S = 10.0
DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True)"
# A child that starts a grandchild in a session of its own, and tells its number.
FAMILY = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen(['sleep', '600'], start_new_session={alone})\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(600)\n"
)
PARENT = (
    "import sys, time\n"
    "from pathlib import Path\n"
    "from ansf_platform.services.process import Launch, spawn_logged\n"
    "import os\n"
    "log = Path(sys.argv[1])\n"
    "child = spawn_logged(Launch((sys.executable, '-c', sys.argv[2]), dict(os.environ)), log)\n"
    "print(child.pid, flush=True)\n"
    "{then}\n"
)


def python(code):
    return Launch((sys.executable, "-c", code), dict(os.environ))


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def start(tmp_path):
    started = []

    def run(code):
        log = tmp_path / f"{len(started)}.log"
        started.append(spawn_logged(python(code), log))
        return started[-1], log

    yield run
    for process in started:
        process.kill()


def first_number(log):
    assert wait_until(lambda: log.exists() and log.read_text().endswith("\n"), DEADLINE_S)
    return int(log.read_text())


def test_a_child_leads_a_group_of_its_own_so_that_ctrl_c_does_not_reach_it(start):
    child, _ = start("import time; time.sleep(600)")

    assert os.getpgid(child.pid) == child.pid != os.getpgrp()


def test_stop_asks_first_and_reports_how_the_child_ended(start):
    child, log = start(
        "import signal, sys, time\n"
        "signal.signal(15, lambda *_: sys.exit(7))\n"
        "print(1, flush=True)\n"
        "time.sleep(600)"
    )
    first_number(log)

    assert child.stop(signal.SIGTERM, DEADLINE_S) == 7
    assert not child.alive


def test_a_child_deaf_to_the_request_is_killed_at_the_deadline(start):
    child, log = start(f"{DEAF}; time.sleep(600)")
    assert wait_until(lambda: "up" in tail(log), DEADLINE_S)

    assert child.stop(signal.SIGTERM, deadline_s=0.2) == -signal.SIGKILL


def test_a_frozen_child_can_still_be_stopped(start):
    child, log = start("import time; print(1, flush=True); time.sleep(600)")
    first_number(log)
    child.pause()

    assert child.stop(signal.SIGTERM, DEADLINE_S) == -signal.SIGTERM


@pytest.mark.parametrize("alone", [True, False])
def test_kill_reaches_grandchildren_in_and_outside_the_group(start, alone):
    child, log = start(FAMILY.format(alone=alone))
    grandchild = first_number(log)

    child.kill()

    assert gone(grandchild)


def test_pause_freezes_the_family_and_resume_thaws_it(start):
    child, log = start(FAMILY.format(alone=True))
    grandchild = first_number(log)

    child.pause()
    frozen = [psutil.Process(pid).status() for pid in (child.pid, grandchild)]
    child.resume()

    assert frozen == [psutil.STATUS_STOPPED] * 2
    assert wait_until(
        lambda: psutil.Process(grandchild).status() != psutil.STATUS_STOPPED, DEADLINE_S
    )


def test_a_child_that_ended_cannot_be_paused(start):
    child, _ = start("pass")
    child.popen.wait(DEADLINE_S)

    with pytest.raises(NotRunning):
        child.pause()


def test_killing_twice_signals_nobody_the_second_time(start, monkeypatch):
    child, _ = start("import time; time.sleep(600)")
    child.kill()
    monkeypatch.setattr(os, "killpg", lambda *_: pytest.fail("the number may be a stranger's"))

    assert child.kill() == -signal.SIGKILL


@pytest.mark.parametrize("alone", [True, False], ids=["itself", "its group"])
@pytest.mark.fault
def test_children_die_when_their_parent_is_killed(tmp_path, alone):
    # The kernel ends the child; only the reaper reaches the child's own child in its group.
    log = tmp_path / "log"
    code = FAMILY.format(alone=False) if not alone else "import time; time.sleep(600)"
    with subprocess.Popen(
        (sys.executable, "-c", PARENT.format(then="time.sleep(600)"), str(log), code),
        stdout=subprocess.PIPE,
    ) as parent:
        family = [int(parent.stdout.readline())]
        if not alone:
            family.append(first_number(log))
        parent.kill()

    assert wait_until(lambda: all(map(gone, family)), DEADLINE_S)


def test_a_parent_that_forgets_to_stop_its_child_leaves_nothing(tmp_path):
    log = tmp_path / "log"
    code = FAMILY.format(alone=False)
    told = subprocess.run(
        (sys.executable, "-c", PARENT.format(then=""), str(log), code),
        stdout=subprocess.PIPE,
        check=True,
    )

    assert wait_until(lambda: gone(int(told.stdout)), DEADLINE_S)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_keep_the_reaper_waiting(tmp_path):
    # The fork outlives its parent; the family of the parent's child must not.
    log = tmp_path / "log"
    then = (
        "while not log.read_text(): time.sleep(0.01)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os.close(1); time.sleep(600)\n"
        "print(pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    told = subprocess.run(
        (sys.executable, "-c", PARENT.format(then=then), str(log), FAMILY.format(alone=False)),
        stdout=subprocess.PIPE,
        check=False,
    )
    _child, fork = map(int, told.stdout.split())
    try:
        # The kernel ended the child; its own child is the reaper's.
        assert wait_until(lambda: gone(first_number(log)), DEADLINE_S)
    finally:
        os.kill(fork, signal.SIGKILL)


def test_a_program_that_does_not_exist_is_named(tmp_path):
    log = tmp_path / "log"
    child = spawn_logged(Launch(("no-such-program",), dict(os.environ)), log)

    with pytest.raises(StartFailed, match="no-such-program exited with 127") as failure:
        wait_ready(child, lambda: False, DEADLINE_S, log)
    assert "cannot run no-such-program: No such file or directory" in str(failure.value)


def test_a_child_that_never_gets_ready_is_killed_and_its_last_words_are_told(start):
    child, log = start("import time; print('warming up', flush=True); time.sleep(600)")
    assert wait_until(lambda: "warming" in tail(log), DEADLINE_S)

    with pytest.raises(StartFailed, match=r"did not answer within 0\.1 s(?s:.*)warming up"):
        wait_ready(child, lambda: False, 0.1, log)
    assert not child.alive


def test_a_log_that_grew_too_large_is_set_aside(tmp_path, monkeypatch):
    monkeypatch.setattr("ansf_platform.services.process._LOG_KEPT_BYTES", 10)
    log = tmp_path / "server.log"
    log.write_text("a long history\n")

    child = spawn_logged(python("print('new')"), log)
    child.popen.wait(DEADLINE_S)
    child.kill()

    assert log.read_text() == "new\n"
    assert (tmp_path / "server.log.1").read_text() == "a long history\n"


def test_a_command_run_to_its_end_gives_code_and_output():
    code, output = run_to_end(python("import sys; print('said'); sys.exit(3)"), DEADLINE_S)

    assert (code, output) == (3, "said\n")


def test_a_command_that_runs_too_long_is_ended():
    with pytest.raises(subprocess.TimeoutExpired):
        run_to_end(python("import time; time.sleep(600)"), 0.2)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_root_can_start_a_child_as_another_user():
    launch = Launch(("id", "-un"), dict(os.environ), user="nobody")

    assert run_to_end(launch, DEADLINE_S) == (0, "nobody\n")


def test_spawn_takes_the_output_where_it_is_sent():
    child = spawn(python("print('here')"), subprocess.PIPE)
    output, _ = child.popen.communicate(timeout=DEADLINE_S)
    child.kill()

    assert output == b"here\n"

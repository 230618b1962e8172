from __future__ import annotations

import io
import os
import signal
import subprocess
import sys

import psutil
import pytest

from ansf_platform.services.errors import PortTaken, StartFailed
from ansf_platform.services.probes import wait_until
from ansf_platform.supervisor import NEVER, Child, Restart, State, Supervisor

DEADLINE_S = 15.0
QUICK = Restart(first_s=0.01, cap_s=0.02)
FOREVER = "import time; time.sleep(600)"
# Writes its name when it begins and when it is asked to end.
WITNESS = (
    "import signal, sys, time\n"
    "def tell(what):\n"
    "    with open({path!r}, 'a') as stream: stream.write(what + ' {name}\\n')\n"
    "def end(*_):\n"
    "    tell('end'); sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, end)\n"
    "tell('begin')\n"
    "time.sleep(600)\n"
)
# A supervisor in a process of its own, as `manage.py up` is.
OWNER = (
    "import sys\n"
    "from pathlib import Path\n"
    "from ansf_platform.supervisor import Child, Supervisor\n"
    "def child(name, code, begun):\n"
    "    ready = (lambda: begun in Path(sys.argv[1]).read_text()) if begun else None\n"
    "    return Child(name, (sys.executable, '-c', code), ready=ready, stop_timeout_s={stop_s})\n"
    "print(Supervisor({stages}).run().name)\n"
)


def child(name, code, **options):
    return Child(name, (sys.executable, "-c", code), **options)


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def step_until(supervisor, condition):
    def stepped():
        supervisor.step()
        return condition()

    assert wait_until(stepped, DEADLINE_S), supervisor.status()


@pytest.fixture
def out():
    return io.StringIO()


@pytest.fixture
def supervise(out):
    made = []

    def make(*stages, **options):
        made.append(Supervisor(stages, out=out, **options))
        return made[-1]

    yield make
    for supervisor in made:
        supervisor.stop()


@pytest.fixture
def journal(tmp_path):
    path = tmp_path / "journal"
    path.touch()
    return path


@pytest.fixture
def own_process(journal):
    """Run a supervisor in a process of its own and wait until all of it is up."""
    started = []

    def run(stages, stop_s, last):
        owner = subprocess.Popen(
            (sys.executable, "-c", OWNER.format(stages=stages, stop_s=stop_s), str(journal)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(owner)
        assert wait_until(lambda: last in journal.read_text(), DEADLINE_S)
        return owner, psutil.Process(owner.pid).children(recursive=True)

    yield run
    for owner in started:
        owner.kill()
        owner.communicate()


def witness(name, journal):
    return WITNESS.format(path=str(journal), name=name)


def test_a_stage_begins_when_the_one_before_is_ready(supervise, journal):
    first = child(
        "first",
        "import time; time.sleep(0.3)\n" + witness("first", journal),
        ready=lambda: "begin first" in journal.read_text(),
    )
    second = child(
        "second",
        witness("second", journal),
        ready=lambda: "begin second" in journal.read_text(),
    )

    supervise(first, second).start()

    assert journal.read_text().splitlines() == ["begin first", "begin second"]


def test_a_stage_of_several_starts_together(supervise, journal):
    def both():
        return {"begin one", "begin two"} <= set(journal.read_text().splitlines())

    # Each is ready only when both have begun: one after the other would never get there.
    stage = [child(name, witness(name, journal), ready=both) for name in ("one", "two")]

    supervisor = supervise(stage)
    supervisor.start()

    assert {one.state for one in supervisor.status()} == {State.RUNNING}


def test_ctrl_c_stops_the_stages_in_the_opposite_order(own_process, journal):
    stages = [
        f"child('a', {witness('a', journal)!r}, 'begin a')",
        f"child('b', {witness('b', journal)!r}, 'begin b')",
        f"child('c', {witness('c', journal)!r}, 'begin c')",
    ]
    owner, family = own_process(f"[{', '.join(stages)}]", DEADLINE_S, "begin c")

    owner.send_signal(signal.SIGINT)
    said, _ = owner.communicate(timeout=DEADLINE_S)

    assert journal.read_text().splitlines()[3:] == ["end c", "end b", "end a"]
    assert said.endswith("SIGINT\n")
    assert owner.returncode == 0
    assert all(gone(member.pid) for member in family)


def test_a_second_ctrl_c_does_not_wait_for_those_who_are_deaf(own_process, journal):
    deaf = witness("deaf", journal).replace("tell('end'); sys.exit(0)", "tell('heard')")
    owner, family = own_process(f"[child('deaf', {deaf!r}, 'begin deaf')]", 600, "begin deaf")

    owner.send_signal(signal.SIGINT)
    assert wait_until(lambda: "heard" in journal.read_text(), DEADLINE_S)
    owner.send_signal(signal.SIGINT)
    said, _ = owner.communicate(timeout=DEADLINE_S)

    assert "deaf is killed" in said
    assert all(gone(member.pid) for member in family)


@pytest.mark.fault
def test_nothing_outlives_a_supervisor_that_is_killed(own_process, journal):
    parent = "import subprocess, sys; subprocess.Popen(['sleep', '600'])\n" + witness(
        "parent", journal
    )
    owner, family = own_process(f"[child('p', {parent!r}, 'begin parent')]", 600, "begin parent")
    assert {"sleep"} <= {member.name() for member in family}

    owner.kill()

    assert wait_until(lambda: all(gone(member.pid) for member in family), DEADLINE_S)


def test_a_crashed_child_is_started_again_and_it_is_said(supervise, out):
    supervisor = supervise(child("fragile", FOREVER, restart=QUICK))
    supervisor.start()
    (before,) = supervisor.status()

    os.kill(before.pid, signal.SIGKILL)
    step_until(supervisor, lambda: supervisor.status()[0].restarts == 1)

    (after,) = supervisor.status()
    assert after.pid not in {None, before.pid}
    assert after.state is State.RUNNING
    assert "fragile was ended by SIGKILL; starting it again in 0.0 s" in out.getvalue()


def test_a_crash_also_ends_what_the_child_left_behind(supervise, out):
    code = (
        "import subprocess, time\n"
        "print(subprocess.Popen(['sleep', '600']).pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    supervisor = supervise(child("parent", code, restart=NEVER))
    supervisor.start()
    assert wait_until(out.getvalue, DEADLINE_S)
    orphan = int(out.getvalue().split("|")[1])

    os.kill(supervisor.status()[0].pid, signal.SIGKILL)
    step_until(supervisor, lambda: supervisor.status()[0].state is State.FAILED)

    assert wait_until(lambda: gone(orphan), DEADLINE_S)


def test_a_child_that_keeps_crashing_is_left_alone_after_its_limit(supervise, out):
    restart = Restart(first_s=0.01, cap_s=0.02, limit=2)
    supervisor = supervise(child("hopeless", "import sys; sys.exit(9)", restart=restart))

    supervisor.start()
    step_until(supervisor, lambda: supervisor.status()[0].state is State.FAILED)

    (status,) = supervisor.status()
    assert (status.restarts, status.exit_code, status.pid) == (2, 9, None)
    assert "hopeless exited with 9; left alone" in out.getvalue()


def test_one_childs_crash_does_not_touch_the_others(supervise):
    supervisor = supervise(child("steady", FOREVER), child("fragile", FOREVER, restart=QUICK))
    supervisor.start()
    steady, fragile = supervisor.status()

    os.kill(fragile.pid, signal.SIGKILL)
    step_until(supervisor, lambda: supervisor.status()[1].restarts == 1)

    assert supervisor.status()[0].pid == steady.pid


def test_pauses_double_up_to_their_cap_and_are_shortened_at_random():
    restart = Restart(first_s=1.0, cap_s=8.0)

    for ends, longest in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (50, 8.0), (10_000, 8.0)]:
        pauses = {restart.delay_s(ends) for _ in range(50)}
        assert longest / 2 <= min(pauses) < max(pauses) <= longest


def test_a_child_that_ran_long_begins_again_with_the_first_pause(supervise):
    settled = Restart(first_s=0.01, cap_s=0.02, limit=1, settled_s=0.0)
    supervisor = supervise(child("long-lived", "pass", restart=settled))

    supervisor.start()

    step_until(supervisor, lambda: supervisor.status()[0].restarts >= 3)


def test_a_child_that_dies_before_it_is_ready_stops_everything(supervise, out):
    supervisor = supervise(
        child("good", FOREVER),
        child("bad", "import sys; sys.exit('no such port')", ready=lambda: False),
    )

    with pytest.raises(StartFailed, match="bad exited with 1 before it was ready"):
        supervisor.start()
    assert "bad  | no such port\n" in out.getvalue()
    assert [status.pid for status in supervisor.status()] == [None, None]


def test_a_child_that_is_never_ready_stops_everything(supervise):
    supervisor = supervise(child("slow", FOREVER, ready=lambda: False, ready_timeout_s=0.2))

    with pytest.raises(StartFailed, match=r"slow was not ready within 0\.2 s"):
        supervisor.start()
    assert supervisor.status()[0].pid is None


def test_a_signal_while_starting_ends_the_start(supervise):
    supervisor = supervise(
        child("slow", FOREVER, ready=lambda: os.kill(os.getpid(), signal.SIGTERM)),
        child("never", FOREVER),
    )

    assert supervisor.run() is signal.SIGTERM
    assert supervisor.status()[1].state is State.WAITING
    assert supervisor.status()[0].state is State.STOPPED


def test_handlers_of_before_are_back_after_a_run(supervise):
    before = signal.getsignal(signal.SIGTERM)
    supervisor = supervise(child("one", FOREVER, ready=lambda: not signal.raise_signal(15)))

    supervisor.run()

    assert signal.getsignal(signal.SIGTERM) is before


def test_a_child_deaf_to_its_stop_signal_is_killed_at_its_deadline(supervise, out):
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf'); time.sleep(600)"
    supervisor = supervise(child("stubborn", code, stop_timeout_s=0.2))
    supervisor.start()
    assert wait_until(lambda: "deaf" in out.getvalue(), DEADLINE_S)

    supervisor.stop()

    assert supervisor.status()[0].exit_code == -signal.SIGKILL
    assert "stubborn is killed" in out.getvalue()


def test_a_child_is_asked_with_its_own_signal(supervise, out):
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGINT, lambda *_: sys.exit(5))\n"
        "print('up')\n"
        "time.sleep(600)\n"
    )
    supervisor = supervise(child("polite", code, stop_signal=signal.SIGINT))
    supervisor.start()
    assert wait_until(lambda: "up" in out.getvalue(), DEADLINE_S)

    supervisor.stop()

    assert supervisor.status()[0].exit_code == 5


def test_the_environment_is_ours_with_the_childs_additions(supervise, out, monkeypatch):
    monkeypatch.setenv("OURS", "1")
    code = "import os, time; print(os.environ['OURS'], os.environ['ITS']); time.sleep(600)"

    supervise(child("one", code, env={"ITS": "2"})).start()

    assert wait_until(lambda: "1 2" in out.getvalue(), DEADLINE_S)


def test_a_working_directory_that_is_gone_is_an_error_and_not_a_traceback(supervise, tmp_path):
    supervisor = supervise(child("lost", FOREVER, cwd=tmp_path / "gone"))

    with pytest.raises(StartFailed, match="lost could not be started"):
        supervisor.start()


def test_two_children_of_one_name_are_refused():
    with pytest.raises(ValueError, match="same name: web, web"):
        Supervisor([child("web", FOREVER), child("web", FOREVER)])


@pytest.mark.valkey
@pytest.mark.fault
def test_a_private_server_that_crashes_comes_back_at_its_address(supervise, fresh_valkey, out):
    server = fresh_valkey()
    server.stop()
    supervisor = supervise(server, child("client", FOREVER), server_restart=QUICK)
    supervisor.start()
    assert server.answers()

    os.kill(server.pid, signal.SIGKILL)
    step_until(supervisor, lambda: supervisor.status()[0].restarts == 1)

    assert wait_until(server.answers, DEADLINE_S)
    assert "valkey was ended by SIGKILL" in out.getvalue()
    supervisor.stop()
    assert not server.running


@pytest.mark.valkey
def test_a_private_server_that_cannot_start_stops_everything(supervise, valkey, fresh_valkey):
    second = fresh_valkey()
    second.stop()
    second.port = valkey.port

    with pytest.raises(PortTaken):
        supervise(child("early", FOREVER), second).start()


def test_leaving_the_block_stops_all(out):
    with Supervisor([child("one", FOREVER)], out=out) as supervisor:
        (running,) = supervisor.status()

    assert gone(running.pid)
    assert supervisor.status()[0].state is State.STOPPED


def test_while_all_is_well_a_step_starts_nothing(supervise):
    supervisor = supervise(child("one", FOREVER))
    supervisor.start()
    processes = psutil.Process().children(recursive=True)

    for _ in range(100):
        supervisor.step()

    assert psutil.Process().children(recursive=True) == processes
    assert supervisor.asked_to_stop is None

"""What a worker process sets up before it takes work."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from celery import signals

from ansf_platform.celery import app
from workers import boot
from workers.context import JournalHandler


def test_linear_algebra_gets_one_thread_unless_somebody_chose(monkeypatch):
    for name in boot.ONE_THREAD:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")

    boot.limit_threads()

    assert os.environ["OMP_NUM_THREADS"] == "4"
    assert {os.environ[name] for name in boot.ONE_THREAD} == {"1", "4"}


def test_compiled_kernels_lie_in_the_state_directory(monkeypatch, settings, tmp_path):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    settings.STATE_DIR = tmp_path

    assert boot.choose_kernel_cache() == tmp_path / "kernels"

    assert os.environ["NUMBA_CACHE_DIR"] == str(tmp_path / "kernels")
    assert list((tmp_path / "kernels").iterdir()) == []


def test_they_lie_elsewhere_where_that_cannot_be_written(monkeypatch, settings, tmp_path):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    blocked = tmp_path / "a file"
    blocked.touch()
    settings.STATE_DIR = blocked

    found = boot.choose_kernel_cache()

    assert found.is_absolute()
    assert blocked not in found.parents


def test_a_cache_that_somebody_chose_is_kept(monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "somewhere")

    assert boot.choose_kernel_cache() == Path("somewhere")


def test_outside_a_worker_there_is_no_node():
    with pytest.raises(RuntimeError, match=r"manage\.py worker"):
        boot.this_node()


def test_celery_leaves_logging_to_django_and_handlers_keep_their_info_lines():
    names = ("", "celery", "celery.task", *boot.CHATTY)
    levels = {name: logging.getLogger(name).level for name in names}
    root = logging.getLogger()
    before = list(root.handlers)
    try:
        for _ in range(2):
            signals.setup_logging.send(sender=None, loglevel=logging.ERROR)

        added = [handler for handler in root.handlers if handler not in before]
        assert [type(handler) for handler in added] == [JournalHandler]
        assert root.level == levels[""]
        assert not logging.getLogger("celery.worker").isEnabledFor(logging.WARNING)
        assert logging.getLogger("celery.task").isEnabledFor(logging.INFO)
        assert not logging.getLogger("kombu.mixins").isEnabledFor(logging.INFO)
    finally:
        root.handlers[:] = before
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


class Sender:
    """As much of a worker as its signal needs."""

    app = app


def test_no_task_asks_whether_to_close_the_database():
    (fixup,) = app._fixups
    try:
        signals.worker_init.send(sender=Sender())

        assert not signals.task_prerun.has_listeners(app)
        assert not signals.task_postrun.has_listeners(app)
        # Children still drop the connections that they inherit.
        assert signals.worker_process_init.has_listeners(app)
    finally:
        signals.worker_process_init.disconnect(fixup.worker_fixup.on_worker_process_init)
        signals.beat_embedded_init.disconnect(fixup.worker_fixup.close_database)

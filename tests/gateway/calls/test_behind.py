"""What is done behind the calls: reading what is in force, writing why a model was chosen."""

from __future__ import annotations

import pytest

from gateway import catalogue, routes, threads
from gateway.models import LanguageModel, RouteRecord
from gateway.pipe import accounting
from tests.gateway.calls.threaded import db, threads_of_its_own

__all__ = ["db", "threads_of_its_own"]
HOT = {"temperature": 1.0}


def test_what_is_in_force_is_read_beside_the_calls_before_it_is_old(gateway):
    now = [100.0]
    watcher = catalogue.Watcher(lambda: now[0])
    first = watcher.view()
    LanguageModel.objects.filter(name="small").update(quality=0.5)

    now[0] += 0.3
    assert watcher.view() is first
    now[0] += 0.3
    assert watcher.view() is first  # nobody waits for the reading
    threads.finish()

    assert watcher.view().model(gateway.tenant.pk, "small").quality == 0.5
    now[0] += 5
    LanguageModel.objects.filter(name="small").update(quality=0.6)
    assert watcher.view().model(gateway.tenant.pk, "small").quality == 0.6  # too old to go on with


def test_reasons_are_written_behind_the_answers_in_batches(gateway):
    for number in range(5):
        gateway.ask(f"Question {number}", **HOT)
    threads.finish()

    assert RouteRecord.objects.count() == 5


def test_who_comes_when_too_many_reasons_wait_writes_them(gateway, monkeypatch):
    monkeypatch.setattr(routes, "MOST_WAITING", 3)
    monkeypatch.setattr(routes, "later", lambda *_, **__: None)  # whoever should is late
    monkeypatch.setattr(routes, "WAITING", routes.Waiting())

    for number in range(4):
        gateway.ask(f"Question {number}", **HOT)

    assert RouteRecord.objects.count() == 3
    routes.WAITING.write()
    assert RouteRecord.objects.count() == 4


def test_a_tenant_that_is_gone_takes_only_its_own_reasons_along(gateway, monkeypatch):
    monkeypatch.setattr(routes, "later", lambda *_, **__: None)
    waiting = routes.Waiting()
    monkeypatch.setattr(routes, "WAITING", waiting)
    decided = []
    monkeypatch.setattr(accounting.routes, "keep", lambda *told, **_: decided.append(told))
    gateway.ask(**HOT)
    monkeypatch.undo()
    ((tenant_id, request_id, decision),) = decided

    for number, owner in enumerate((tenant_id, 10**9, tenant_id)):
        waiting.add(routes._Decided(owner, f"{request_id}-{number}", decision, "", "simple"))
    waiting.write()

    assert RouteRecord.objects.count() == 2


def test_an_error_behind_the_calls_is_logged_and_ends_nothing(gateway, caplog):
    def fails():
        raise RuntimeError("no")

    threads.later(fails)
    done = []
    threads.later(lambda: done.append(1))
    threads.finish()

    assert done == [1]
    assert "could not be done" in caplog.text


def test_threads_of_a_batch_end_with_it(db):
    with threads.rented(3):
        pool = threads._rented.get()
        pool.submit(LanguageModel.objects.count).result()

    assert threads._rented.get() is None
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(int)

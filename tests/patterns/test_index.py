"""Segments are trusted only when whole, made anew from the rows, and shared by processes."""

from __future__ import annotations

import json
import shutil
import threading

import numpy as np
import pytest
from django.db import transaction

from patterns import backends, memory, namespaces
from patterns.index import reading, sealing, views
from patterns.index.directory import Directory
from patterns.index.snapshot import masks_of
from patterns.memory import NewPattern
from patterns.models import Namespace


@pytest.fixture(autouse=True)
def early(monkeypatch):
    """Segments from a hundred rows on."""
    monkeypatch.setattr(views, "SEAL_ROWS", 100)
    monkeypatch.setattr(reading, "CHUNK", 37)


def fill(namespace, vectors, start=0):
    """Add rows to a namespace that is searched; their ids."""
    items = [NewPattern(v, metadata={"n": start + n}) for n, v in enumerate(vectors)]
    memory.search(namespace, vectors[0])
    ids = [one.id for one in memory.add_many(namespace, items)]
    memory.search(namespace, vectors[0])
    backends.of(namespace).settle(namespace)
    return ids


def segments(namespace):
    return sorted(p.name for p in Directory(namespace).path.iterdir() if p.is_dir())


def all_of(namespace):
    """What a search finds of everything, in order."""
    found = memory.search(namespace, np.ones(8), 1000)
    return [(one.id, round(one.score, 5), one.count, one.metadata) for one in found]


@pytest.fixture
def held(make, random):
    """A namespace with a segment and some rows in memory."""
    shapes = make()
    fill(shapes, random.normal(size=(150, 8)))
    fill(shapes, random.normal(size=(20, 8)), 150)
    assert len(segments(shapes)) == 1
    return shapes


def test_another_process_maps_the_segments_and_reads_the_rest(held, monkeypatch):
    before = all_of(held)
    read = []
    real = views.changes

    def counted(*asked):
        for one in real(*asked):
            read.append(len(one[1]))
            yield one

    monkeypatch.setattr(views, "changes", counted)
    views.forget_all()

    assert all_of(held) == before
    assert sum(read) == 20


@pytest.mark.parametrize("what", ["everything", "manifest.json", "codes.i8", "vectors.f32"])
def test_lost_files_are_made_anew_from_the_rows(held, what):
    before = all_of(held)
    views.forget_all()
    home = Directory(held).path
    if what == "everything":
        shutil.rmtree(home)
    else:
        for path in home.rglob(what):
            path.unlink()

    assert all_of(held) == before
    assert (home / "manifest.json").exists()


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("codes.i8", lambda raw: bytes([raw[0] ^ 1]) + raw[1:]),
        ("vectors.f32", lambda raw: raw[:-1]),
        ("ids.i64", lambda raw: raw + b"\x00"),
        ("manifest.json", lambda raw: raw[: len(raw) // 2]),
        ("manifest.json", lambda _: b"[]"),
        ("manifest.json", lambda raw: json.dumps(json.loads(raw) | {"format": 0}).encode()),
    ],
)
def test_damaged_files_are_noticed_and_made_anew(held, name, damage):
    before = all_of(held)
    views.forget_all()
    (path,) = Directory(held).path.rglob(name)
    path.write_bytes(damage(path.read_bytes()))

    assert all_of(held) == before


def test_what_an_interrupted_write_left_is_swept(held, random):
    home = Directory(held).path
    (home / "1-9-more.new").mkdir()
    (home / "1-8-more").mkdir()

    fill(held, random.normal(size=(120, 8)))

    assert not (home / "1-9-more.new").exists()
    assert not (home / "1-8-more").exists()


def test_many_segments_become_one_and_nothing_is_lost(make, random, monkeypatch):
    monkeypatch.setattr(sealing, "MAX_SEGMENTS", 3)
    shapes = make()
    ids = []
    seen = set()

    for start in range(0, 1000, 100):
        ids += fill(shapes, random.normal(size=(100, 8)), start)
        seen.add(len(segments(shapes)))

    assert seen == {1, 2, 3}
    assert {one[0] for one in all_of(shapes)} == set(ids)


def test_rows_that_changed_or_went_are_left_out_of_older_segments(held, random):
    held.dedup_threshold = 0.999
    held.save()
    first, second = all_of(held)[0], all_of(held)[1]
    vector = {row.pk: np.frombuffer(row.vector, "f4") for row in held.patterns.all()}

    memory.add(held, vector[first[0]])
    memory.delete(held, [second[0]])
    fill(held, random.normal(size=(120, 8)), 500)  # enough for a segment
    views.forget_all()

    found = {one[0]: one for one in all_of(held)}
    assert found[first[0]][2] == 2
    assert second[0] not in found
    assert len(found) == 170 + 120 - 1


def test_a_new_generation_uses_nothing_made_before(held):
    before = all_of(held)

    memory.reindex(held)

    assert all_of(held) == before
    views.forget_all()
    assert all_of(held) == before
    assert all(name.startswith("2-") for name in segments(held))


def test_a_database_that_was_set_back_is_believed(held):
    all_of(held)
    changes = held.patterns.order_by("-changed").values_list("changed", flat=True)[10]
    held.patterns.filter(changed__gt=changes).delete()
    Namespace.objects.filter(pk=held.pk).update(changes=changes, live=160)

    assert len(all_of(held)) == 160


def test_a_bound_on_the_disk_keeps_the_index_in_memory(make, random, settings):
    settings.ANSF = {**settings.ANSF, "PATTERN_CACHE_MB": 0}
    shapes = make()

    ids = fill(shapes, random.normal(size=(300, 8)))

    assert {one[0] for one in all_of(shapes)} == set(ids)
    assert segments(shapes) == []


def test_the_least_recently_used_index_makes_room(make, random, settings):
    old, new = make("old"), make("new")
    fill(old, random.normal(size=(300, 8)))
    size = Directory(old).size()
    settings.ANSF = {**settings.ANSF, "PATTERN_CACHE_MB": 1}
    big = make("big", dimension=512)

    fill(big, random.normal(size=(400, 512)))
    fill(new, random.normal(size=(300, 8)))

    assert size > 0
    assert segments(old) == []
    assert len(all_of(old)) == 300  # from the rows


def test_nobody_is_robbed_while_writing(make, random, settings):
    old, big = make("old"), make("big", dimension=512)
    fill(old, random.normal(size=(300, 8)))
    lock = Directory(old).path / "lock"
    before = lock.stat().st_ino
    settings.ANSF = {**settings.ANSF, "PATTERN_CACHE_MB": 1}

    with Directory(old).locked(0.0) as mine:
        fill(big, random.normal(size=(400, 512)))
        assert mine
        assert segments(old)
    views.forget_all()
    fill(big, random.normal(size=(400, 512)))

    assert segments(old) == []
    assert lock.stat().st_ino == before  # or two could hold "the lock"


def test_segments_that_made_room_are_written_again_from_what_is_open(held, random):
    before = all_of(held)
    for name in segments(held):
        shutil.rmtree(Directory(held).path / name)
    (Directory(held).path / "manifest.json").unlink()

    fill(held, random.normal(size=(120, 8)), 500)
    views.forget_all()

    assert set(map(str, before)) < set(map(str, all_of(held)))
    assert len(segments(held)) == 1


def test_a_disk_that_takes_nothing_leaves_the_index_in_memory(make, random, caplog):
    shapes = make()
    obstacle = Directory(shapes).path / "manifest.json.new"
    obstacle.mkdir(parents=True)  # no file can be written there

    ids = fill(shapes, random.normal(size=(300, 8)))
    ids += [one.id for one in memory.add_many(shapes, [NewPattern(random.normal(size=8))])]
    found = [{one[0] for one in all_of(shapes)}]
    views.forget_all()
    found.append({one[0] for one in all_of(shapes)})

    assert found == [set(ids)] * 2
    assert "stay in memory" in caplog.text
    obstacle.rmdir()
    views.forget_all()
    all_of(shapes)
    assert len(segments(shapes)) == 1


def test_an_index_that_cannot_be_written_is_held_in_memory(make, random, settings, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("no directory")
    settings.STATE_DIR = blocked
    shapes = make()

    ids = fill(shapes, random.normal(size=(300, 8)))

    assert {one[0] for one in all_of(shapes)} == set(ids)


def test_a_snapshot_stays_as_it_is_while_others_write(held, random):
    snapshot = views.follow(memory.fresh(held))
    before = [part.ids.tolist() for part in snapshot.parts]
    live = snapshot.live

    memory.delete(held, [all_of(held)[0][0]])
    fill(held, random.normal(size=(250, 8)))
    memory.reindex(held)
    all_of(held)

    assert [part.ids.tolist() for part in snapshot.parts] == before
    assert snapshot.live == live
    assert snapshot.parts[0].vectors(np.array([0, 5])).shape == (2, 8)


def test_removing_a_namespace_removes_its_files(held):
    namespaces.remove(held)

    assert not Directory(held).path.exists()


def test_rows_are_not_lost_when_another_process_writes_meanwhile(make, random, monkeypatch):
    shapes = make()
    fill(shapes, random.normal(size=(150, 8)))
    mine = views._views[shapes.uid]
    monkeypatch.setattr(views, "SEAL_ROWS", 1000)
    memory.add_many(shapes, [NewPattern(v) for v in random.normal(size=(240, 8))])
    views.forget_all()
    all_of(shapes)
    other = views._views[shapes.uid]  # knows 390 rows, of which 240 are in memory
    views._views[shapes.uid] = mine
    memory.add_many(shapes, [NewPattern(v) for v in random.normal(size=(9, 8))])
    all_of(shapes)  # this one knows 399
    monkeypatch.setattr(views, "SEAL_ROWS", 100)
    views._views[shapes.uid] = other
    views.seal(memory.fresh(shapes))
    views._views[shapes.uid] = mine
    assert len(segments(shapes)) == 2
    real = Directory.read

    def read(directory):
        """While one thread looks at the manifest, another one takes the new segment over."""
        monkeypatch.setattr(Directory, "read", real)
        memory.add(shapes, random.normal(size=8))
        all_of(shapes)
        return real(directory)

    monkeypatch.setattr(Directory, "read", read)
    views.seal(memory.fresh(shapes))

    for _ in ("as it is known", "from the disk"):
        assert len(all_of(shapes)) == 400
        views.forget_all()


def test_masks_follow_every_change(make, random):
    shapes = make(dedup_threshold=0.9)
    ids = fill(shapes, random.normal(size=(150, 8)))

    for number in range(40):
        row = shapes.patterns.get(pk=ids[int(random.integers(150))])
        if number % 4 == 3:
            memory.delete(shapes, [row.pk])
        elif number % 4 == 2:
            memory.add(shapes, random.normal(size=8))
        elif not row.removed:
            memory.add(shapes, np.frombuffer(row.vector, "f4"))
        snapshot = views.follow(memory.fresh(shapes))
        wanted = masks_of(snapshot.parts)
        assert [mask.tolist() for mask in snapshot.alive] == [mask.tolist() for mask in wanted]
        assert snapshot.live == memory.fresh(shapes).live


def test_nobody_waits_for_a_new_index_that_others_make(held):
    before = views.follow(memory.fresh(held))
    mine = views._views.pop(held.uid)
    memory.reindex(held)  # in another process
    views.drop(held)
    views._views[held.uid] = mine

    with mine.lock:  # another thread makes it
        assert views.follow(memory.fresh(held)) is before
    with Directory(held).locked(0.0):  # another process does
        assert views.follow(memory.fresh(held)) is before
        with transaction.atomic(), pytest.MonkeyPatch.context() as quick:
            quick.setattr(views, "BUILD_WAIT_S", 0.0)
            assert views.follow(memory.fresh(held)).generation == 2  # who adds has to know all
    assert views.follow(memory.fresh(held)).generation == 2
    assert len(all_of(held)) == 170


def test_whoever_makes_a_new_generation_makes_its_index(held):
    memory.reindex(held)

    assert all(name.startswith("2-") for name in segments(held))


def test_only_one_writes_at_a_time(held):
    directory = Directory(held)
    with directory.locked(0.0) as first:
        got = []
        thread = threading.Thread(target=lambda: got.append(_try(directory)))
        thread.start()
        thread.join(10)

    assert first
    assert got == [False]
    with directory.locked(0.0) as again:
        assert again


def _try(directory):
    with directory.locked(0.0) as mine:
        return mine

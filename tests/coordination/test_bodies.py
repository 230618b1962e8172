"""Where values live by size, and what no database could keep is refused before it gets there."""

from __future__ import annotations

import pytest
from django.db.models import Q

from coordination import bodies, submit
from coordination.errors import Invalid
from coordination.models import Blob, Task, TaskBody
from tests.coordination.steps import claim, get, ready


def payload_of_bytes(size) -> dict:
    """A payload whose compact JSON has exactly that many bytes."""
    return {"x": "a" * (size - len('{"x":""}'))}


@pytest.mark.parametrize(
    ("size", "bodies_kept", "blobs_kept"),
    [(1024, 0, 0), (1025, 1, 0), (64 * 1024, 1, 0), (64 * 1024 + 1, 1, 1)],
)
def test_a_payload_lives_in_row_body_or_blob_by_its_size(definition, size, bodies_kept, blobs_kept):
    payload = payload_of_bytes(size)
    task = ready(payload=payload)

    grip = claim(task)

    assert get(task).payload_bytes == size
    assert (TaskBody.objects.count(), Blob.objects.count()) == (bodies_kept, blobs_kept)
    assert grip.claimed[0].payload == payload
    assert bodies.payload_of(get(task)) == payload


@pytest.mark.parametrize("size", [1024, 1025, 64 * 1024 + 1])
def test_a_result_of_any_size_is_read_back(definition, size):
    task = ready()
    result = payload_of_bytes(size)

    claim(task).finish(result=result)

    assert get(task).result_bytes == size
    assert bodies.result_of(get(task)) == result


def test_equal_blobs_are_stored_once(definition):
    payload = payload_of_bytes(100_000)

    ready(payload=payload)
    ready(payload=payload)

    assert (TaskBody.objects.count(), Blob.objects.count()) == (2, 1)
    assert len(Blob.objects.get().data) < 1000  # compressed


def test_blobs_may_live_in_a_directory(definition, settings, tmp_path):
    settings.ANSF = {**settings.ANSF, "BLOB_DIR": str(tmp_path)}
    payload = payload_of_bytes(100_000)

    task = ready(payload=payload)

    digest = Blob.objects.get().sha256
    assert (tmp_path / digest[:2] / digest).exists()
    assert bodies.payload_of(get(task)) == payload
    bodies.blob_store().delete([digest])
    assert not (tmp_path / digest[:2] / digest).exists()


def test_a_value_of_16_mb_is_kept_and_one_byte_more_is_refused():
    limit = 16 * 1024 * 1024

    assert bodies.encode("a" * (limit - 2)).size == limit
    with pytest.raises(bodies.BodyInvalid, match=r"16777217 bytes are more than the limit"):
        bodies.encode("a" * (limit - 1))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (float("nan"), "not JSON"),
        (float("inf"), "not JSON"),
        ({1, 2}, "not JSON"),
        (b"bytes", "not JSON"),
        ("a\x00b", r"U\+0000"),
        ("\ud800", "lone surrogate"),
        ({"\x00": 1}, r"U\+0000"),
        ("\\\x00", r"U\+0000"),
    ],
)
def test_what_no_database_keeps_is_refused_with_the_reason(value, told):
    with pytest.raises(bodies.BodyInvalid, match=told):
        bodies.encode({"value": [value]})


@pytest.mark.parametrize("text", ["\U0001f600", "\\u0000", "\\ud800", "ud83d", "\\\\u0000"])
def test_text_that_only_looks_dangerous_is_kept(definition, text):
    task = ready(payload={"text": text})

    assert get(task).payload == {"text": text}
    assert Task.objects.filter(Q(payload__text=text)).exists()


def test_nesting_too_deep_for_json_is_refused():
    value = []
    for _ in range(200_000):
        value = [value]

    with pytest.raises(bodies.BodyInvalid, match="not JSON"):
        bodies.encode(value)


def test_a_bad_payload_names_its_item(definition):
    with pytest.raises(Invalid, match=r"item 0/payload: holds the character U\+0000"):
        submit("accept", {"x": "\x00"})

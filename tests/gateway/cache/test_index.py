"""The vectors of a scope: added and removed while they are searched."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from gateway.cache.index import CANDIDATES, Block, packed
from gateway.embedder import MINILM

WIDTH = 16
VECTORS = np.random.default_rng(3).standard_normal((64, WIDTH)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


def filled(numbers):
    block = Block(WIDTH)
    for number in numbers:
        block.add(str(number), packed(VECTORS[number]))
    return block


@examples(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 63)), max_size=200))
def test_a_block_holds_what_was_added_and_not_removed(steps):
    block, kept = Block(WIDTH), set()
    for add, number in steps:
        if add:
            block.add(str(number), packed(VECTORS[number]))
            kept.add(number)
        else:
            block.remove(str(number))
            kept.discard(number)

    assert len(block) == len(kept)
    for number in range(64):
        first = block.nearest(VECTORS[number], 1)
        assert (bool(first) and first[0].entry == str(number)) == (number in kept)


def test_what_is_searched_keeps_its_rows_while_the_block_changes():
    block = filled(range(40))
    before = block.snapshot()
    for number in range(30):
        block.remove(str(number))
    for number in range(40, 64):
        block.add(str(number), packed(VECTORS[number]))

    (near,) = before.nearest(VECTORS[35], 1)

    assert (near.entry, near.cosine) == ("35", pytest.approx(1, abs=0.02))
    assert before.nearest(VECTORS[50], 1)[:1] != [("50", 1.0)]


def test_no_entry_gets_another_ones_cosine_while_rows_come_and_go():
    block, lock, stop, wrong = filled(range(64)), threading.Lock(), threading.Event(), []

    def search():
        while not stop.is_set():
            with lock:
                rows = block.snapshot()
            wrong.extend(
                near
                for near in rows.nearest(VECTORS[7], CANDIDATES)
                if abs(near.cosine - float(VECTORS[int(near.entry)] @ VECTORS[7])) > 0.05
            )

    thread = threading.Thread(target=search)
    thread.start()
    for number in [*range(64)] * 20:
        with lock:
            block.remove(str(number))
        with lock:
            block.add(str(number), packed(VECTORS[number]))
    stop.set()
    thread.join()

    assert wrong == []


def test_one_text_has_the_vector_it_has_among_others_and_the_second_time():
    texts = ["How do I get a refund?", "Is it open on Mondays, and what does a ticket cost then?"]
    together = MINILM.embed(texts)
    first, again = MINILM.embed(texts[:1]), MINILM.embed(texts[:1])
    first *= 2  # it is the caller's own

    assert again[0] == pytest.approx(together[0], abs=1e-5)
    assert again.shape == (1, 384)

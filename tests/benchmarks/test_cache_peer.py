"""The cache that ours is measured beside: set up, it really answers."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.cache_peer import GptCache
from gateway.embedder import Hashing

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the peer's
KEPT = ["How do I reset my router?", "Where is the station?", "Who wrote this song?"]


@pytest.fixture
def peer(tmp_path):
    made = GptCache(tmp_path, Hashing().embed)
    made.keep(KEPT, Hashing().embed(KEPT))
    return made


def test_a_question_that_is_kept_hits_and_another_does_not(peer):
    assert peer.hits(KEPT[1])

    assert not peer.hits("zzz qqq xxx")


def test_more_is_kept_than_it_would_by_itself(peer):
    many = [f"question {number}" for number in range(1_500)]

    peer.keep(many, Hashing().embed(many))

    assert peer.hits(KEPT[0])


def test_its_score_falls_with_the_angle_and_its_threshold_is_within_the_scores(peer):
    least, middle, most = peer.scores(np.array([0.0, 0.5, 1.0]))

    assert least < middle < most
    assert least < peer.threshold < most

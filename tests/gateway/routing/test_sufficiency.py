from __future__ import annotations

import gzip
import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing import judging, training
from gateway.routing.sufficiency import BadModel, model_from, read_model, shipped
from gateway.routing.surface import COUNTS, LONGEST, surface
from gateway.routing.training import BadOutcomes

EASY = "What is the capital of France?"
HARD = (
    "A buyer who was not told that the barn, which stood on the land, had burnt down signed the "
    "contract, paid the price, and sued when the seller, who did not know of the fire, refused to "
    "return it. Which of the following, if true, would not help her case?"
)


def test_a_long_tangled_prompt_with_negations_wants_the_strong_model():
    assert shipped().probability(HARD) < shipped().average < shipped().probability(EASY)


@given(st.text(max_size=200))
def test_any_text_has_a_probability_and_saying_more_makes_none_easier(text):
    before = shipped().difficulty(text)

    assert 0 < shipped().probability(text) < 1
    assert shipped().difficulty(f"{text}\nbut not") >= before


def test_only_the_beginning_of_a_huge_prompt_is_looked_at():
    assert surface("a " * LONGEST) == surface("a " * LONGEST * 2)


def test_a_model_survives_its_json():
    assert model_from(json.loads(json.dumps(shipped().as_dict()))) == shipped()


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"features": {"vowels": [1, 0, 1]}},
        {"features": {"words": [1, 0, 0]}},
        {"features": {"words": [1, 0]}},
        {"features": {}},
        {"features": []},
        {"slope": -1},
        {"intercept": float("nan")},
        {"average": None},
    ],
)
def test_a_file_that_is_no_model_is_refused(tmp_path, change):
    path = tmp_path / "model.json"
    path.write_text(json.dumps(shipped().as_dict() | change))

    with pytest.raises(BadModel):
        read_model(path)


def test_the_shipped_model_holds_numbers_and_no_sentences():
    assert len(json.dumps(shipped().as_dict())) < 2_000
    assert set(shipped().as_dict()["features"]) == set(COUNTS)


@pytest.fixture
def outcomes(tmp_path):
    """The weak model fails where sentences are long; subjects differ in how often that is."""
    path, generator = tmp_path / "outcomes.csv.gz", random.Random(1)
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        file.write("bench,prompt,weak_correct,strong_correct\n")
        for number in range(600):
            words = generator.randint(3, 60)
            weak = generator.random() > words / 80
            prompt = " ".join(["word"] * words)
            file.write(f"subject {number % 6},{prompt},{weak},{generator.random() < 0.95}\n")
    return path


def test_training_finds_what_is_hard_on_subjects_it_has_not_seen(outcomes):
    read = training.read_outcomes(outcomes)
    unseen = training.left_out(read)
    model = training.train(read, "mine")
    found = judging.curve(unseen.difficulty, read.weak, read.strong)

    assert found.apgr > 0.6
    assert judging.calibration_error(unseen.cheap_suffices, ~read.insufficient) < 0.1
    assert model.probability("word " * 5) > 0.8
    assert model.probability("word " * 60) < 0.6
    assert model.trained_on == {"rows": 600, "subjects": 6, "weak": "weak", "strong": "strong"}


def test_chance_recovers_half_and_an_oracle_more():
    generator = np.random.default_rng(3)
    strong, weak = generator.random(2_000) < 0.9, generator.random(2_000) < 0.6
    chance = judging.curve(np.zeros(2_000), weak, strong)
    oracle = judging.curve(strong.astype(float) - weak, weak, strong)

    assert chance.apgr == pytest.approx(0.5, abs=0.02)
    assert chance.calls_for(0.5) == pytest.approx(0.5, abs=0.05)
    assert oracle.apgr > 0.9
    assert oracle.calls_for(0.8) < 0.3
    with pytest.raises(ValueError, match="not better"):
        judging.curve(np.zeros(2_000), strong, strong)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n1,2\n", "wants the columns"),
        ("bench,prompt,w_correct,s_correct\n", "no rows"),
        ("bench,prompt,w_correct,s_correct\nx,y,maybe,True\n", "row 1: .* want true or false"),
        ("bench,prompt,w_correct,s_correct\nx,y\n", "row 1"),
        ("bench,prompt,w_correct\nx,y,True\n", "wants the columns"),
        (b"bench,prompt,w_correct,s_correct\nx,\xff,True,True\n", "not UTF-8"),
    ],
)
def test_bad_outcomes_are_refused_with_the_row(tmp_path, text, told):
    path = tmp_path / "bad.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(BadOutcomes, match=told):
        training.read_outcomes(path)


def test_a_packed_file_that_unpacks_beyond_bounds_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"bench,prompt,w_correct,s_correct\n" + b"x" * 10_000))
    monkeypatch.setattr(training, "MOST_BYTES", 5_000)

    with pytest.raises(BadOutcomes, match="larger than"):
        training.read_outcomes(path)


def test_one_subject_or_one_kind_of_outcome_is_too_little(tmp_path):
    path = tmp_path / "few.csv"
    path.write_text("bench,prompt,w_correct,s_correct\na,x,True,True\na,y,True,True\n")
    read = training.read_outcomes(path)

    with pytest.raises(BadOutcomes, match="one subject only"):
        training.left_out(read)
    with pytest.raises(BadOutcomes, match="both kinds"):
        training.train(read)

"""Known shapes are found where they were hidden in a series, and drawn."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from patterns import memory, picture, recurrence
from patterns.errors import Invalid
from patterns.memory import NewPattern

LENGTH = 64
T = np.linspace(0, 1, LENGTH)
SHAPES = {"bump": np.exp(-(((T - 0.5) / 0.12) ** 2)), "saw": T * 4 % 1, "step": np.sign(T - 0.4)}


@pytest.fixture
def shapes(make, random):
    """Three shapes among walks."""
    namespace = make(encoder="minirocket-384", dimension=384, dedup_threshold=None)
    items = [NewPattern(series=s, metadata={"kind": kind}) for kind, s in SHAPES.items()]
    walks = np.cumsum(random.normal(size=(40, LENGTH)), axis=1)
    memory.add_many(namespace, items + [NewPattern(series=walk) for walk in walks])
    return namespace


@pytest.fixture
def series(random):
    """White noise in which shapes are hidden; where, and which."""
    samples = 0.3 * random.normal(size=3000)
    places = {320: "bump", 960: "saw", 1600: "bump", 2240: "step"}
    for place, kind in places.items():
        samples[place : place + LENGTH] = 5 * SHAPES[kind] + 0.1 * random.normal(size=LENGTH)
    return samples, places


def test_hidden_shapes_recur_where_they_were_put(shapes, series):
    samples, places = series

    found = recurrence.match(shapes, iter(samples), length=LENGTH, step=16, least=0.7)

    told = {(one.first, one.metadata.get("kind")) for one in found.recurrences}
    assert told >= set(places.items())
    assert (found.samples, found.windows) == (3000, (3000 - LENGTH) // 16 + 1)
    assert found.counts.most_common(1)[0][1] >= 2


def test_windows_that_overlap_and_say_the_same_count_once():
    def window(first, pattern, score):
        return recurrence.Window(first, first + 9, pattern, score, {})

    found = []
    for one in (window(0, 1, 0.8), window(4, 1, 0.9), window(6, 2, 0.9), window(8, 1, 0.7),
                window(30, 1, 0.8)):  # fmt: skip
        recurrence._join(found, one)

    assert [(one.first, one.pattern) for one in found] == [(4, 1), (6, 2), (30, 1)]


def test_a_series_of_any_length_has_an_outline_of_bounded_width(random):
    outline = recurrence.Outline()
    samples = random.normal(size=10_007)

    for value in samples:
        outline.add(value)

    columns = outline.as_array()
    assert recurrence.COLUMNS <= len(columns) <= 2 * recurrence.COLUMNS
    assert (columns[:, 0].min(), columns[:, 1].max()) == (samples.min(), samples.max())
    assert np.array_equal(
        columns[0], [samples[: outline.width].min(), samples[: outline.width].max()]
    )


@pytest.mark.parametrize(
    ("count", "options", "message"),
    [
        (10, {"length": 64}, "shorter than one window"),
        (100, {"length": 4}, "windows have 8 to"),
        (100, {"length": 32, "step": 33}, "begin 1 to so many apart"),
        (100, {"length": 32, "step": 0}, "begin 1 to so many apart"),
    ],
)
def test_what_cannot_be_matched_is_refused(shapes, count, options, message):
    with pytest.raises(Invalid, match=message):
        recurrence.match(shapes, range(count), **options)


def test_the_picture_is_whole_and_escapes_its_texts(shapes, series, tmp_path):
    found = recurrence.match(shapes, iter(series[0]), length=LENGTH, step=16, least=0.7)
    path = tmp_path / "match.html"

    picture.write(path, found, "<b>load & co</b>")

    page = path.read_text(encoding="utf-8")
    assert "<b>load" not in page
    assert "http" not in page
    drawing = ET.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])  # noqa: S314 - ours
    boxes = [one for one in drawing.iter("rect") if one.get("class", "").startswith("look")]
    assert len(boxes) == sum(n for _, n in found.counts.most_common(picture.LANES))
    assert len(list(drawing.iter("polyline"))) == 1


def test_nothing_found_is_drawn_as_nothing(make, random, tmp_path):
    empty = make(encoder="seed-384", dimension=384)

    found = recurrence.match(empty, random.normal(size=100), length=32)

    picture.write(tmp_path / "none.html", found, "noise")
    assert found.recurrences == ()
    assert "0 recurrences" in (tmp_path / "none.html").read_text(encoding="utf-8")

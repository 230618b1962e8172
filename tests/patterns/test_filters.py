"""Filters mean the same in memory and in PostgreSQL, and are refused with a reason."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from patterns.backends import jsonb
from patterns.errors import Invalid
from patterns.filters import Column, find, parse
from tests.kernels.strategies import checked

scalars = st.sampled_from(
    [None, True, False, 0, 1, 2, 1.5, -3, "", "a", "b", "B", "ä", "1", "true", "2026-01-01"]
)
values = st.one_of(scalars, st.just([1]), st.just({"deep": 2}), st.just({"deep": "a"}))
notes = st.lists(st.dictionaries(st.sampled_from(["x", "y"]), values, max_size=2), min_size=1)
ranges = st.sampled_from([0, 1, 1.5, "a", "ä", "2026-01-01"])
conditions = st.one_of(
    scalars,
    st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), ranges, min_size=1, max_size=2),
    st.builds(lambda members: {"in": members}, st.lists(scalars, min_size=1, max_size=4)),
    st.builds(lambda wanted: {"ne": wanted}, scalars),
    st.builds(lambda wanted: {"exists": wanted}, st.booleans()),
)
filters = st.dictionaries(st.sampled_from(["x", "y", "x.deep", "z"]), conditions, max_size=3)


def mask(asked, rows):
    where = parse(asked)
    return where.mask(len(rows), lambda key: Column.of([find(row, key) for row in rows])).tolist()


def naive(asked, row):
    """The meaning, row by row."""
    for key, wanted in asked.items():
        there, value = True, row
        for step in key.split("."):
            there = there and isinstance(value, dict) and step in value
            value = value[step] if there else None
        asks = wanted if isinstance(wanted, dict) else {"eq": wanted}
        if not all(holds(word, one, there, value) for word, one in asks.items()):
            return False
    return True


def same(value, wanted):
    numbers = [isinstance(v, int | float) and not isinstance(v, bool) for v in (value, wanted)]
    return value == wanted and (all(numbers) or type(value) is type(wanted))


def holds(word, wanted, there, value):
    if word == "exists":
        return there == wanted
    if not there:
        return False
    if word in {"eq", "ne", "in"}:
        found = any(same(value, one) for one in (wanted if word == "in" else [wanted]))
        return found != (word == "ne")
    kinds = [isinstance(v, str) for v in (value, wanted)]
    if isinstance(value, bool | dict | list | None) or kinds[0] != kinds[1]:
        return False
    return {"gt": value > wanted, "gte": value >= wanted, "lt": value < wanted}.get(
        word, value <= wanted
    )


@checked
@given(filters, notes)
def test_a_filter_means_what_it_says(asked, rows):
    assert mask(asked, rows) == [naive(asked, row) for row in rows]


def test_postgresql_judges_alike(db):
    if db != "postgresql":
        pytest.skip("only PostgreSQL has conditions on jsonb")

    @checked
    @given(filters, notes)
    def judges(asked, rows):
        condition, parameters = jsonb.where(parse(asked))
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT coalesce(({condition}), false)"  # noqa: S608 - of jsonb's own making
                " FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS p(metadata, place)"
                " ORDER BY place",
                [*parameters, json.dumps(rows)],
            )
            assert [one for (one,) in cursor.fetchall()] == mask(asked, rows)

    judges()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ([], "must be an object"),
        ({"": 1}, "names have 1 to 200"),
        ({"a.b.c.d.e": 1}, "at most 4 steps"),
        ({"a": [1]}, "compares with a text"),
        ({"a": {}}, "asks nothing"),
        ({"a": {"like": "x"}}, "'like' is not known"),
        ({"a": {"in": []}}, "1 to 256"),
        ({"a": {"in": [1] * 257}}, "1 to 256"),
        ({"a": {"in": [[1]]}}, "compares with a text"),
        ({"a": {"gt": None}}, "number or a text"),
        ({"a": {"exists": 1}}, "true or false"),
        ({"a": float("nan")}, "finite"),
        ({"a": 10**400}, "finite"),
        ({str(n): n for n in range(9)}, "9 conditions"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_refused(asked, message):
    with pytest.raises(Invalid, match=message):
        parse(asked)


def test_every_mistake_is_named():
    with pytest.raises(Invalid) as refused:
        parse({"a": {"like": 1}, "b": [2], "c": 3})

    assert [error.field for error in refused.value.errors] == ["/filter/a", "/filter/b"]

"""Nothing leaves its scope: keys are equal exactly if all that shapes an answer is."""

from __future__ import annotations

import random
from dataclasses import fields, replace
from operator import attrgetter

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from gateway.cache.encoding import Unencodable, encode
from gateway.cache.exact import exact_key
from gateway.cache.policy import CachePolicy
from gateway.cache.scope import Scope, Unscoped, scope_of
from gateway.request import Message
from tests.gateway.cache.conftest import request

PAIRS = 100_000
# Made to be confused: separators, digits, brackets, the encoding's own letters, nothing at all.
PIECES = (
    "",
    "a",
    "b",
    "ab",
    ":",
    "1:",
    "s1:a",
    "0",
    "1",
    "|",
    "\0",
    ",",
    "l2:",
    "[]",
    "é",
    "\ud800",
)
POLICY = CachePolicy()


TEXTS = [f.name for f in fields(Scope) if f.name not in {"stop", "tags", "max_tokens"}]
MEMBERS = attrgetter(*[f.name for f in fields(Scope)])


def text(draw):
    return draw.choice(PIECES) + draw.choice(PIECES)


def scope_from(draw):
    return Scope(**{name: text(draw) for name in TEXTS}, stop=(), tags=(), max_tokens=None)


def changed(scope, draw):
    """Another scope that differs in as little as possible, often only in where a letter stands."""
    match draw.randrange(4):
        case 0:
            name = draw.choice(("stop", "tags"))
            return replace(scope, **{name: tuple(draw.choices(PIECES, k=draw.randrange(4)))})
        case 1:
            return replace(scope, max_tokens=draw.choice((None, 0, 1, 10)))
        case 2:
            one, other = draw.sample(TEXTS, 2)
            moved, beside = getattr(scope, one), getattr(scope, other)
            return replace(scope, **{one: moved[:-1], other: moved[-1:] + beside})
    return replace(scope, **{draw.choice(TEXTS): text(draw)})


def test_of_100_000_random_pairs_of_scopes_keys_are_equal_exactly_if_all_fields_are():
    draw = random.Random(5)
    scope = scope_from(draw)
    keys = {scope.key(): MEMBERS(scope)}
    equal, last = 0, scope.key()
    for _ in range(PAIRS):
        near = changed(scope, draw)
        key = near.key()
        members = MEMBERS(near)
        same = members == MEMBERS(scope)
        assert same == (key == last)
        # And so with all that came before: a key belongs to one scope.
        assert keys.setdefault(key, members) == members
        equal += same
        scope, last = near, key

    assert len(keys) > PAIRS / 2
    assert equal > PAIRS / 100  # equal ones were among them


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


def typed(value):
    """A value in which True is not 1."""
    if isinstance(value, dict):
        return {"dict": sorted((key, repr(typed(item))) for key, item in value.items())}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return (type(value).__name__, value)


@given(JSON, JSON)
@examples(max_examples=100)
def test_two_values_of_json_are_encoded_alike_only_if_they_are_equal(one, other):
    assert (encode(one) == encode(other)) == (typed(one) == typed(other))


def test_equal_numbers_are_encoded_alike_and_a_truth_value_is_none_of_them():
    assert encode(1) == encode(1.0) != encode(True)
    assert encode({"a": 1, "b": 2}) == encode({"b": 2, "a": 1})
    with pytest.raises(Unencodable):
        encode(object())
    deep = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(Unencodable, match="too deep"):
        encode(deep)


SYSTEM = Message("system", "be brief")
EARLIER = (Message("user", "hello"), Message("assistant", "hi"))
DIFFERENCES = {
    "tenant": {"tenant": "2"},
    "visibility": {"visibility": "global"},
    "user": {"visibility": "user", "user": "2"},
    "model": {"model": "other"},
    "tier": {"tier": "large"},
    "system prompt": {"messages": (SYSTEM, Message("user", "q"))},
    "earlier turns": {"messages": (*EARLIER, Message("user", "q"))},
    "an image": {"messages": (Message("user", "q", parts=({"type": "image_url"},)),)},
    "tools": {"tools": ({"type": "function"},)},
    "schema": {"response_format": {"type": "json_object"}},
    "temperature": {"temperature": 0.9},
    "max_tokens": {"max_tokens": 5},
    "stop": {"stop": ("\n",)},
    "options": {"options": {"seed": 1}},
    "locale": {"locale": "fr"},
    "epoch": {"epoch": "2"},
    "tags": {"tags": ("handbook",)},
}


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_what_shapes_an_answer_parts_two_scopes(difference):
    one = scope_of(request("q"), POLICY, "minilm")
    other = scope_of(request("q", **DIFFERENCES[difference]), POLICY, "minilm")

    assert one.key() != other.key()


def test_another_embedder_or_a_lossy_variant_parts_two_scopes_and_another_question_does_not():
    scope = scope_of(request("q"), POLICY, "minilm")

    assert scope.key() != scope_of(request("q"), POLICY, "hashing").key()
    assert scope.key() != scope_of(request("q"), CachePolicy(variant="short"), "minilm").key()
    assert scope.key() == scope_of(request("another"), POLICY, "minilm").key()
    assert scope.key() == scope_of(request("q", temperature=0.2), POLICY, "minilm").key()
    assert exact_key(scope.key(), request("q")) != exact_key(scope.key(), request("another"))


def test_what_all_may_see_has_no_tenant_and_what_one_user_may_see_needs_a_user():
    one = scope_of(request("q", visibility="global"), POLICY, "minilm")
    other = scope_of(request("q", visibility="global", tenant="2"), POLICY, "minilm")

    assert one == other
    with pytest.raises(Unscoped, match="names none"):
        scope_of(request("q", visibility="user"), POLICY, "minilm")

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pricing import Prices
from gateway.router import Candidate, Needs, NoRoute, Rules, expected_quality, route

MINI = Candidate("mini", "a", Prices(150_000_000, 600_000_000), 128_000, 16_000, 0.75)
MID = Candidate("mid", "b", Prices(1_000_000_000, 4_000_000_000), 128_000, 16_000, 0.85)
BIG = Candidate("big", "a", Prices(10_000_000_000, 30_000_000_000), 32_000, 4_000, 0.95)
ALL = (BIG, MINI, MID)
NEEDS = Needs(tokens_in=1_000, max_output=500, expected_output=100)
RULES = Rules(call_budget=50_000_000, quality_floor=0.7)


def chosen(needs=NEEDS, rules=RULES, candidates=ALL, draw=1.0):
    return route(candidates, needs, rules, draw)


def refused(decision):
    return {option.name: option.refused for option in decision.options if option.refused}


def test_the_cheapest_that_is_good_enough_is_chosen():
    assert chosen().model == "mini"
    assert chosen(rules=replace(RULES, quality_floor=0.8)).model == "mid"
    assert chosen(rules=replace(RULES, quality_floor=0.9)).model == "big"


def test_cost_is_expected_by_the_answer_and_reserved_for_the_longest_one():
    decision = chosen()

    assert decision.chosen.expected_cost == MINI.prices.cost(1_000, 100)
    assert decision.chosen.worst_cost == MINI.prices.cost(1_000, 500)
    unknown = chosen(replace(NEEDS, expected_output=None))
    assert unknown.chosen.expected_cost == unknown.chosen.worst_cost


def test_order_is_by_cost_and_not_by_name_or_price_of_the_prompt():
    talker = Candidate("aaa", "a", Prices(1, 10**12), 128_000, 16_000, 0.9)

    assert chosen(candidates=(talker, MID)).model == "mid"


def test_nothing_beyond_the_budget_answers_nor_stands_in():
    decision = chosen(rules=replace(RULES, call_budget=1_000_000))

    assert decision.model == "mini"
    assert decision.fallbacks == ()
    assert refused(decision) == dict.fromkeys(("mid", "big"), "beyond the budget of a call")
    with pytest.raises(NoRoute, match="beyond the budget of a call: big, mid, mini"):
        chosen(rules=replace(RULES, call_budget=0))


def test_nothing_below_the_floor_answers():
    with pytest.raises(NoRoute, match="below the quality floor"):
        chosen(rules=replace(RULES, quality_floor=0.99))


@pytest.mark.parametrize(
    ("needs", "candidate", "reason"),
    [
        ({"tools": True}, MINI, "no tools"),
        ({"json": True}, MINI, "no json"),
        ({"streaming": True}, replace(MINI, streaming=False), "no streaming"),
        ({"tier": "gold"}, replace(MINI, tiers=("silver",)), "not of tier gold"),
        ({"tokens_in": 128_000}, MINI, "the prompt exceeds its 128,000 tokens"),
        ({}, replace(MINI, healthy=False), "its provider is unavailable"),
        ({"model": "mid"}, MINI, "another model was asked for"),
    ],
)
def test_each_hard_filter_refuses_with_its_reason(needs, candidate, reason):
    able = Candidate("able", "z", Prices(10**9, 10**9), 10**6, 4_000, 0.9, tools=True, json=True)
    able = replace(able, name=needs.get("model", "able"))

    decision = chosen(replace(NEEDS, **needs), replace(RULES, call_budget=10**9), (candidate, able))

    assert decision.model == able.name
    assert refused(decision) == {"mini": reason}


def test_the_allow_list_is_obeyed_also_when_a_model_is_named():
    rules = replace(RULES, allowed=frozenset({"mid"}))

    assert chosen(rules=rules).model == "mid"
    with pytest.raises(NoRoute, match="the policy does not allow it: mini"):
        chosen(replace(NEEDS, model="mini"), rules)


def test_a_named_model_needs_no_floor_but_keeps_the_budget():
    needs = replace(NEEDS, model="mini")

    assert chosen(needs, replace(RULES, quality_floor=1.0)).model == "mini"
    with pytest.raises(NoRoute, match="beyond the budget"):
        chosen(replace(NEEDS, model="big"), replace(RULES, call_budget=10))
    with pytest.raises(NoRoute, match="there is no model 'gpt-99'"):
        chosen(replace(NEEDS, model="gpt-99"))


def test_without_any_model_the_error_says_what_to_do():
    with pytest.raises(NoRoute, match="add one, or enable it"):
        chosen(candidates=())


def test_fallbacks_come_from_other_providers_first_then_by_cost():
    small = replace(MINI, name="small", prices=Prices(160_000_000, 600_000_000))

    decision = chosen(candidates=(*ALL, small))
    assert [option.name for option in decision.fallbacks] == ["mid", "small"]
    assert chosen(rules=replace(RULES, fallbacks=0)).fallbacks == ()


def test_the_baseline_is_the_priciest_able_model_within_the_budget():
    assert chosen().baseline == "big"
    assert chosen(rules=replace(RULES, call_budget=2_000_000)).baseline == "mid"
    assert chosen(rules=replace(RULES, quality_floor=0.9)).baseline == "big"


def test_an_answer_is_cut_to_the_room_there_is():
    decision = chosen(replace(NEEDS, tokens_in=31_900, max_output=8_000, model="big"),
                      replace(RULES, call_budget=10**12))  # fmt: skip

    assert decision.chosen.max_output == 100


def test_a_hard_prompt_goes_to_a_better_model_and_an_easy_one_does_not():
    hard = replace(NEEDS, cheap_suffices=0.6, cheap_suffices_on_average=0.8)

    assert chosen(hard).model == "mid"  # 0.95 − 0.20 · 2 for mini, 0.95 − 0.10 · 2 for mid
    assert chosen(replace(hard, cheap_suffices=0.8)).model == "mini"
    assert "suffices with probability 60%" in " ".join(chosen(hard).reasons)


@given(
    st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)
)  # fmt: skip
def test_expected_quality_never_rises_with_difficulty_nor_beyond_the_best(a, b, own, best, average):
    def expected(suffices):
        needs = replace(NEEDS, cheap_suffices=suffices, cheap_suffices_on_average=average)
        return expected_quality(own, best, needs)

    assert expected(min(a, b)) <= expected(max(a, b))
    assert 0 <= expected(a) <= max(own, best)


def test_exploring_tries_the_others_equally_often_and_never_the_best():
    rules = replace(RULES, epsilon=0.2)
    tried = [chosen(rules=rules, draw=draw / 1000).model for draw in range(1000)]

    assert {name: tried.count(name) for name in ("mini", "mid", "big")} == {
        "mini": 800, "mid": 100, "big": 100,
    }  # fmt: skip
    assert chosen(rules=rules, draw=0.0).explored
    assert not chosen(rules=rules, draw=0.2).explored


def test_exploring_may_go_below_the_floor_but_never_beyond_the_budget_nor_when_critical():
    rules = Rules(call_budget=2_000_000, quality_floor=0.8, epsilon=1.0)

    assert chosen(rules=rules, draw=0.9).model == "mini"
    assert chosen(replace(NEEDS, task_class="critical"), rules, draw=0.9).model == "mid"
    assert chosen(replace(NEEDS, model="mid"), rules, draw=0.9).model == "mid"


def test_a_decision_is_told_with_reasons_in_bounded_json():
    many = [replace(MINI, name=f"m{i:03}") for i in range(200)]

    told = chosen(candidates=many).as_dict()

    assert told["model"] == "m000"
    assert told["reasons"][0] == "the cheapest of 200 good enough and affordable, of 200 known"
    assert len(told["options"]) == 20


CANDIDATES = st.builds(
    Candidate,
    st.text("abc", min_size=1, max_size=3),
    st.sampled_from("pq"),
    st.builds(Prices, st.integers(0, 10**11), st.integers(0, 10**11)),
    st.integers(1, 10**6),
    st.integers(1, 10**5),
    st.floats(0, 1),
    tools=st.booleans(),
    healthy=st.booleans(),
)


@given(
    st.lists(CANDIDATES, max_size=8),
    st.builds(Needs, tokens_in=st.integers(0, 10**5), max_output=st.integers(1, 10**4),
              tools=st.booleans(), cheap_suffices=st.none() | st.floats(0, 1)),
    st.builds(Rules, call_budget=st.integers(0, 10**9), quality_floor=st.floats(0, 1),
              epsilon=st.floats(0, 1)),
    st.floats(0, 1, exclude_max=True),
)  # fmt: skip
def test_whatever_is_chosen_is_able_and_affordable(candidates, needs, rules, draw):
    try:
        decision = route(candidates, needs, rules, draw)
    except NoRoute:
        return
    for option in (decision.chosen, *decision.fallbacks):
        assert option.expected_cost <= rules.call_budget
        assert option.expected_cost <= option.worst_cost
        assert any(
            each.name == option.name and each.healthy and (each.tools or not needs.tools)
            for each in candidates
        )
        assert option.quality >= rules.quality_floor or decision.explored

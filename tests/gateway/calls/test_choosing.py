"""Which model a call gets: the one asked for, or what the router in use thinks of the prompt."""

from __future__ import annotations

import json

import pytest

from gateway.errors import Refused
from gateway.openai_api import reading
from gateway.pipe import Terms, complete
from gateway.pipe.choosing import EXPECTATION
from gateway.routing.sufficiency import shipped

ORDINARY = {"input_price": 2_500_000_000, "output_price": 10_000_000_000, "quality": 0.9}
"""Of a model that costs 2.50 and 10 $ for a million tokens."""


@pytest.fixture
def ordinary(gateway):
    """A gateway with nothing but such a model, of whose answers nothing is known."""
    EXPECTATION.forget()
    gateway.provider.models.all().delete()
    gateway.add_model("gpt-4o", **ORDINARY)
    return gateway


def call(gateway, **body):
    told = {"messages": [{"role": "user", "content": "What is it?"}], "temperature": 1, **body}
    return complete(reading.request_of(told, str(gateway.tenant.pk)), Terms(), gateway.around)


def test_a_model_asked_for_by_name_needs_no_word_about_its_cost(ordinary):
    answer = call(ordinary, model="gpt-4o")

    assert answer.model == "gpt-4o"
    assert "the call has no budget of its own" in " ".join(answer.route.reasons)


@pytest.mark.parametrize(
    ("body", "ways"),
    [
        ({"model": "auto"}, ["ansf.task_class complex", "simple_budget", "by name"]),
        (
            {"model": "gpt-4o", "ansf": {"task_class": "simple"}},
            ["ansf.task_class complex", "simple_budget", "leave ansf.task_class out"],
        ),
    ],
)
def test_a_call_beyond_its_budget_is_refused_with_the_ways_out(ordinary, body, ways):
    with pytest.raises(Refused) as caught:
        call(ordinary, **body)

    assert caught.value.code == "no_suitable_model"
    for way in (*ways, "gpt-4o", "may cost $0.001", "gateway policy 'default'"):
        assert way in caught.value.message
    assert ordinary.server.calls == 0
    assert call(ordinary, **body | {"ansf": {"task_class": "complex"}}).text


def test_a_call_below_the_floor_is_told_which_policy_says_so(ordinary):
    ordinary.change(quality_floor=0.95)

    with pytest.raises(Refused, match="lower quality_floor of the gateway policy 'default'"):
        call(ordinary, model="auto", ansf={"task_class": "critical"})


def test_calls_are_routed_by_the_model_that_the_environment_names(gateway, settings, tmp_path):
    gateway.provider.models.all().delete()
    gateway.add_model("cheap", quality=0.75)
    gateway.add_model("strong", quality=0.95, output_price=2_000_000_000)
    assert gateway.ask(temperature=1.0).model == "cheap"

    doubtful = shipped().as_dict() | {"label": "mine", "intercept": 30.0}
    path = tmp_path / "model.json"
    path.write_text(json.dumps(doubtful))
    settings.ANSF = settings.ANSF | {"ROUTE_MODEL": str(path)}

    answer = gateway.ask(temperature=1.0)
    assert answer.model == "strong"
    assert answer.route.cheap_suffices < 0.01

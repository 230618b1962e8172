"""What a declaration may not say, and that saying it costs nobody anything."""

from __future__ import annotations

import pytest

from coordination import declaration
from coordination.declaration import markup
from coordination.errors import Invalid


def refusal(text):
    with pytest.raises(Invalid) as caught:
        declaration.parse(text)
    return str(caught.value)


def bomb(levels=12):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("swarms: {a: {wieght: 2}}", "/swarms/a/wieght: unknown key; did you mean weight?"),
        ("swrms: {}", "/swrms: unknown key; did you mean swarms?"),
        ("swarms: {a: {weight: 0}}", "/swarms/a/weight: must be a whole number from 1 to 1000"),
        ("swarms: {a: {weight: true}}", "/swarms/a/weight"),
        ("swarms: {a: {weight: '2'}}", "not '2'"),
        ("swarms: {a: {paused: 'no'}}", "/swarms/a/paused: must be true or false"),
        ("swarms: {a: {aging_seconds: .nan}}", "/swarms/a/aging_seconds"),
        ("swarms: {a: {budget: {x: .inf}}}", "/swarms/a/budget: must hold what JSON can keep"),
        ("swarms: {a: {budget: {1: 2}}}", "/swarms/a/budget: must have quoted text as keys"),
        ('swarms: {a: {name: "\\0"}}', "/swarms/a/name: must hold what JSON can keep"),
        ('swarms: {a: {capabilities: ["\\ud800"]}}', "/swarms/a/capabilities: must hold"),
        ("swarms: {a b: {}}", "/swarms/a b: is not a usable name"),
        ("swarms: {1: {}}", "/swarms: the key 1 must be text"),
        ("swarms: [a]", "/swarms: must be a mapping, not a list"),
        ("swarms: {a: {agents: {slots: 1}}}", "/swarms/a/agents: needs either"),
        ("swarms: {a: {agents: {count: 1, names: [x]}}}", "/swarms/a/agents: needs either"),
        ("swarms: {a: {agents: {count: -1}}}", "/swarms/a/agents/count"),
        ("swarms: {a: {agents: 1.5}}", "/swarms/a/agents: must be a mapping"),
        ("swarms: {a: {agents: {names: ['x y']}}}", "/swarms/a/agents/names"),
        ("swarms: {a: {agents: [{count: 1}, {count: 1}]}}", "names 'agent-1' twice"),
        ("swarms: {a: {agents: 5, agents_max: 4}}", "/swarms/a/agents_max: is less than"),
        ("swarms: {a: {agents: 1000000000}}", "/swarms/a/agents/count"),
        ("definitions: {a: {pool: gpu}}", "/definitions/a/pool: must be one of cpu, io"),
        ("definitions: {a: {priority: 10}}", "/definitions/a/priority"),
        ("definitions: {a: {default_priority: 1}}", "/definitions/a/default_priority: unknown"),
        ("schedules: {a: {cron: '* * * * *'}}", "/schedules/a: needs `definition`"),
        ("schedules: {a: {definition: x}}", "/schedules/a: needs `cron` or"),
        ("schedules: {a: {definition: x, cron: '* * * * *', interval_seconds: 5}}", "not both"),
        ("- a", "must be a mapping, not a list"),
        ("", "must be a mapping, not empty"),
        ("a: [", "line 1, column"),
        ("a: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("swarms: {a: {}, a: {}}", "line 1: the key 'a' is given twice"),
        ("? [a, b]\n: 1", "a key must be text"),
        ("a: &a [*a]", "contains itself"),
        ("[" * 60 + "]" * 60, "nested deeper than 50 levels"),
        ("[" * 50_000, "nested deeper than 50 levels"),
        ("a: 1\n---\nb: 2", "single document"),
        ("a: \x00", "special characters"),
    ],
)
def test_a_mistake_is_refused_with_its_path_and_what_is_right(text, told):
    assert told in refusal(text)


def test_all_mistakes_are_named_at_once():
    with pytest.raises(Invalid) as caught:
        declaration.parse("swarms: {a: {weight: 0, wait: 1}}\nextra: 1")

    assert [error.field for error in caught.value.errors] == [
        *("/extra", "/swarms/a/wait", "/swarms/a/weight")
    ]


def test_aliases_that_expand_to_billions_are_refused_before_they_do():
    assert "expands to more than 50,000 values" in refusal(bomb())


def test_aliases_that_stay_small_are_welcome():
    parsed = declaration.parse("swarms: {a: &a {weight: 2}, b: *a}")

    assert [swarm.columns for swarm in parsed.swarms] == [{"weight": 2}, {"weight": 2}]


def test_merging_works_because_people_share_settings_that_way():
    text = "swarms:\n  a: &a {weight: 2, agents: 3}\n  b: {<<: *a, weight: 4}\n"

    a, b = declaration.parse(text).swarms

    assert (len(a.agents), len(b.agents), b.columns["weight"]) == (3, 3, 4)


def test_a_large_file_is_refused_unread():
    assert "larger than" in refusal("#" * (markup.MAX_BYTES + 1))


def test_many_groups_cannot_ask_for_more_agents_than_one_may():
    groups = ", ".join(["{count: 1000, role: r}"] * 5_000)

    assert "declares more than 1000 agents" in refusal(f"swarms: {{a: {{agents: [{groups}]}}}}")


def test_dates_stay_text_because_payloads_are_json():
    text = "schedules: {a: {definition: x, cron: '* * * * *', payload: {day: 2026-01-31}}}"

    payload = declaration.parse(text).schedules[0].columns["payload"]

    assert payload == {"day": "2026-01-31"}


def test_a_number_of_agents_names_them_after_their_role():
    text = "swarms: {a: {agents: [{count: 2, role: Data Analyst}, 1]}}"
    assert "must be a mapping" in refusal(text)

    parsed = declaration.parse(
        "swarms: {a: {agents: [{count: 2, role: Data Analyst}]}, b: {agents: 1}}"
    )

    assert [agent.name for agent in parsed.swarms[0].agents] == [
        "data-analyst-1",
        "data-analyst-2",
    ]
    assert [agent.name for agent in parsed.swarms[1].agents] == ["agent-1"]

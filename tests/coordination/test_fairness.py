"""Fair sharing, urgency and envelopes, as pure values."""

from __future__ import annotations

from collections import Counter, defaultdict
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from coordination.fairness import (
    MAX_ENVELOPE_BYTES,
    Candidate,
    Share,
    Sizing,
    Slot,
    VirtualTime,
    choose,
    effective_priority,
    order,
)

FREE = frozenset()


@st.composite
def situations(draw):
    """Candidates of up to four swarms, their shares, sizes and the room there is."""
    swarms = draw(st.integers(1, 4))
    candidates, shares, number = {}, {}, 0
    for swarm in range(swarms):
        found = []
        for _ in range(draw(st.integers(0, 12))):
            number += 1
            found.append(
                Candidate(
                    UUID(int=number),
                    swarm,
                    draw(st.integers(1, 3)),
                    draw(st.integers(0, 9)),
                    draw(st.sampled_from([0.0, 1.0, 2.5])),
                    draw(st.floats(0, 500)),
                    draw(st.sampled_from([0, 1000, 600_000])),
                    draw(st.booleans()),
                )
            )
        candidates[swarm] = found
        slots = [
            Slot(swarm * 10 + index, frozenset(draw(st.sets(st.sampled_from("gv")))),
                 draw(st.integers(0, 4)), draw(st.floats(0, 1)))
            for index in range(draw(st.integers(0, 3)))
        ]  # fmt: skip
        step = draw(st.sampled_from([0.0, 30.0]))
        shares[swarm] = Share(draw(st.floats(0.5, 8)), step, tuple(slots))
    sizes = {
        definition: Sizing(
            draw(st.integers(1, 200)),
            draw(st.floats(0.001, 5)),
            frozenset(draw(st.sets(st.sampled_from("gv"), max_size=1))),
        )
        for definition in (1, 2, 3)
    }
    return candidates, shares, sizes, draw(st.integers(-1, 20))


@given(situations())
def test_a_choice_keeps_every_bound(situation):
    candidates, shares, sizes, room = situation

    parcels = choose(candidates, shares, VirtualTime(), room, sizes.__getitem__)

    assert len(parcels) <= max(room, 0)
    taken = Counter(parcel.agent_id for parcel in parcels)
    for share in shares.values():
        for slot in share.slots:
            assert taken[slot.agent_id] <= slot.free
    members = [member.id for parcel in parcels for member in parcel.members]
    assert len(members) == len(set(members))
    for parcel in parcels:
        share, sizing = shares[parcel.swarm_id], sizes[parcel.definition_id]
        slots = {slot.agent_id: slot for slot in share.slots}
        assert sizing.capabilities <= slots[parcel.agent_id].capabilities
        assert 1 <= len(parcel.members) <= sizing.members
        assert len({member.definition_id for member in parcel.members}) == 1
        assert {member.swarm_id for member in parcel.members} == {parcel.swarm_id}
        assert {
            effective_priority(member.priority, member.waited, share.aging_step)
            for member in parcel.members
        } == {parcel.level}
        if len(parcel.members) > 1:
            assert not any(member.solo for member in parcel.members)
            assert sum(member.payload_bytes for member in parcel.members) <= MAX_ENVELOPE_BYTES


@given(situations())
def test_room_is_not_left_while_an_agent_could_take_a_candidate(situation):
    candidates, shares, sizes, room = situation

    parcels = choose(candidates, shares, VirtualTime(), room, sizes.__getitem__)

    if len(parcels) >= room:
        return
    taken = Counter(parcel.agent_id for parcel in parcels)
    chosen = {member.id for parcel in parcels for member in parcel.members}
    for swarm, found in candidates.items():
        able = [slot for slot in shares[swarm].slots if taken[slot.agent_id] < slot.free]
        for candidate in found:
            needed = sizes[candidate.definition_id].capabilities
            assert candidate.id in chosen or not any(needed <= s.capabilities for s in able)


@given(situations())
def test_within_a_swarm_nobody_overtakes_a_more_urgent_task_of_the_same_needs(situation):
    candidates, shares, sizes, room = situation
    sizes = {definition: Sizing(s.members, s.seconds, FREE) for definition, s in sizes.items()}

    parcels = choose(candidates, shares, VirtualTime(), room, sizes.__getitem__)

    chosen = defaultdict(list)
    for parcel in parcels:
        chosen[parcel.swarm_id].extend(parcel.members)
    for swarm, members in chosen.items():
        expected = order(candidates[swarm], shares[swarm].aging_step)
        assert members == expected[: len(members)]


def backlog(swarm, count, definition=1, priority=5):
    return [
        Candidate(UUID(int=swarm * 10**6 + number), swarm, definition, priority, 0.0, 1.0)
        for number in range(count)
    ]


def share(weight, slots=100, agent=0):
    return Share(weight, 0.0, (Slot(agent, FREE, slots, 0.0),))


@given(
    st.lists(st.floats(1, 10), min_size=2, max_size=5),
    st.lists(st.floats(0.01, 1), min_size=5, max_size=5),
    st.integers(1, 5),
)
def test_over_many_cycles_busy_swarms_get_the_share_of_their_weight(weights, seconds, room):
    clock, served = VirtualTime(), Counter()
    shares = {swarm: share(weight) for swarm, weight in enumerate(weights)}
    sizes = {swarm: Sizing(1, seconds[swarm]) for swarm in shares}
    for _ in range(200):
        candidates = {swarm: backlog(swarm, 10, definition=swarm) for swarm in shares}
        for parcel in choose(candidates, shares, clock, room, sizes.__getitem__):
            served[parcel.swarm_id] += sizes[parcel.definition_id].seconds

    level = [served[swarm] / weight for swarm, weight in enumerate(weights)]
    # Start-time fair queueing: two busy swarms differ by at most one task of each.
    bound = 2 * max(seconds[swarm] / weights[swarm] for swarm in shares)
    assert max(level) - min(level) <= bound + 1e-9


def test_a_swarm_that_was_idle_earns_no_credit():
    clock = VirtualTime()
    shares = {0: share(1.0), 1: share(1.0)}
    size = Sizing(1, 1.0)
    for _ in range(50):
        choose({0: backlog(0, 4), 1: []}, shares, clock, 4, lambda _: size)

    parcels = choose({0: backlog(0, 8), 1: backlog(1, 8)}, shares, clock, 8, lambda _: size)

    assert Counter(parcel.swarm_id for parcel in parcels) == {0: 4, 1: 4}


def test_a_short_queue_is_spread_over_the_room_and_a_long_one_fills_envelopes():
    size = Sizing(50, 0.001)

    short = choose({0: backlog(0, 4)}, {0: share(1.0)}, VirtualTime(), 8, lambda _: size)
    long = choose({0: backlog(0, 1000)}, {0: share(1.0)}, VirtualTime(), 8, lambda _: size)

    assert [len(parcel.members) for parcel in short] == [1] * 4
    assert [len(parcel.members) for parcel in long] == [50] * 8


def test_the_least_loaded_able_agent_is_taken():
    slots = (
        Slot(1, frozenset("g"), 2, 0.9),
        Slot(2, frozenset("g"), 2, 0.1),
        Slot(3, FREE, 2, 0.0),
    )
    size = Sizing(1, 1.0, frozenset("g"))

    [first] = choose(
        {0: backlog(0, 1)}, {0: Share(1.0, 0.0, slots)}, VirtualTime(), 1, lambda _: size
    )

    assert first.agent_id == 2


@given(st.integers(0, 9), st.floats(1, 1000), st.floats(0, 1e6))
def test_waiting_lifts_a_task_by_one_per_step_up_to_nine(priority, step, waited):
    lifted = effective_priority(priority, waited, step)

    assert priority <= lifted <= 9
    assert effective_priority(priority, (9 - priority) * step, step) >= 8 or priority == 9
    assert effective_priority(priority, (9 - priority + 1) * step, step) == 9


def test_without_a_step_nothing_ages():
    assert effective_priority(3, 1e9, 0.0) == 3


def test_equals_are_ordered_by_rank_and_then_by_age():
    def candidate(number, rank, waited):
        return Candidate(UUID(int=number), 0, 1, 5, rank, waited)

    found = order([candidate(1, 0.0, 9.0), candidate(2, 3.0, 1.0), candidate(3, 0.0, 10.0)], 0.0)

    assert [item.id.int for item in found] == [2, 3, 1]

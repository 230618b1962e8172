"""Units per key, as pure values: nothing starts without all it needs, nothing is lost."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from coordination.allowances import KeyGate, Ledger, Need, cut_to
from coordination.fairness import Candidate, Share, Sizing, Slot, VirtualTime, choose

KEYS = [("a", "x"), ("b", "x"), ("c", "x")]


@st.composite
def crowds(draw):
    """Candidates of two swarms in up to three limit sets, needs, and units left."""
    needs = {
        (swarm, chosen): Need(
            tuple(draw(st.sets(st.sampled_from(KEYS[1:])))),
            dict.fromkeys(draw(st.sets(st.integers(0, 1), max_size=1)), (KEYS[0],)),
        )
        for swarm in (0, 1)
        for chosen in (1, 2)
    }
    candidates = {
        swarm: [
            Candidate(UUID(int=swarm * 100 + n), swarm, 1, draw(st.integers(0, 2)), 0.0, float(n),
                      limit_set=draw(st.integers(0, 2)))
            for n in range(draw(st.integers(0, 15)))
        ]
        for swarm in (0, 1)
    }  # fmt: skip
    left = {key: draw(st.integers(-1, 6)) for key in KEYS}
    return needs, candidates, left, draw(st.integers(1, 8))


def _chosen(needs, candidates, left, members):
    ledger = Ledger(dict(left))
    slots = tuple(Slot(agent, frozenset(), 20, 0.0) for agent in (0, 1))
    parcels = choose(
        candidates,
        {swarm: Share(1.0, 0.0, slots) for swarm in candidates},
        VirtualTime(),
        12,
        lambda _: Sizing(members, 0.001),
        gates={pair: KeyGate(need, ledger) for pair, need in needs.items()},
    )
    return parcels, ledger


def _used(parcels, needs):
    used = Counter()
    for parcel in parcels:
        for member in parcel.members:
            need = needs.get((parcel.swarm_id, member.limit_set), Need())
            used.update(need.all_of(parcel.agent_id))
    return used


@given(crowds())
def test_no_key_is_spent_beyond_its_units_and_no_envelope_mixes_limit_sets(crowd):
    needs, _, left, _ = crowd
    parcels, ledger = _chosen(*crowd)
    used = _used(parcels, needs)
    assert all(used[key] <= max(0, left[key]) for key in KEYS)
    assert used == +ledger.spent
    assert all(len({m.limit_set for m in parcel.members}) == 1 for parcel in parcels)


@given(crowds())
def test_what_no_policy_names_is_never_held_back(crowd):
    _, candidates, _, _ = crowd
    free = {swarm: [c for c in found if c.limit_set == 0] for swarm, found in candidates.items()}
    parcels, _ = _chosen({}, free, {}, 50)
    assert (
        sum(len(p.members) for p in parcels) == sum(map(len, free.values())) or len(parcels) == 12
    )


@given(crowds(), st.dictionaries(st.sampled_from(KEYS), st.integers(0, 5)))
def test_what_was_not_granted_does_not_start_and_what_is_over_is_told(crowd, granted):
    needs, candidates, _, members = crowd
    parcels, _ = _chosen(needs, candidates, dict.fromkeys(KEYS, 100), members)

    kept, over = cut_to(parcels, needs, granted)

    used = _used(kept, needs)
    assert all(used[key] + over[key] == granted[key] for key in granted)
    started = {member.id for parcel in kept for member in parcel.members}
    for parcel in parcels:
        for member in parcel.members:
            need = needs.get((parcel.swarm_id, member.limit_set), Need())
            starved = any(granted.get(key, 1) == 0 for key in need.all_of(parcel.agent_id))
            assert not (starved and member.id in started)

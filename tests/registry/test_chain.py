import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.registry.ledgers import look
from wfbt.data.market import DAY
from wfbt.errors import TrialsError
from wfbt.registry.chain import Chain, Counts, entry_hash
from wfbt.registry.looks import IN_FOLDS


def put(chain, one):
    """Append a look that is not there, as the ledger does."""
    if chain.first(one) is None:
        chain.take(entry_hash(chain.ends, one.identity), chain.ends, one)


def chain_of(looks):
    chain = Chain()
    for one in looks:
        put(chain, one)
    return chain


def united(*chains):
    whole = Chain()
    for chain in chains:
        for one in chain:
            if one.sha256 not in whole:
                whole.take(one.sha256, one.parents, one.look)
    return whole


def test_looks_are_counted_up_to_the_first_entry_whatever_comes_later():
    chain = chain_of([look(number) for number in range(5)])
    for number in range(5):
        assert chain.count(look(number)) == Counts(family=number + 1, anyone=number + 1, candidates=6 * (number + 1))


def test_a_look_that_was_not_taken_is_counted_as_the_next():
    assert chain_of([look(1), look(2)]).count(look(3)) == Counts(family=3, anyone=3, candidates=18)


def test_a_new_family_name_does_not_reset_the_count():
    chain = chain_of([look(1), look(2), look(1, family="fresh")])
    assert chain.count(look(1, family="fresh")) == Counts(family=1, anyone=3, candidates=18)


def test_a_family_is_counted_at_any_data_and_anyone_at_the_same_days():
    elsewhere = look(2, data="e", weeks=frozenset())
    assert chain_of([look(1), elsewhere]).count(elsewhere) == Counts(family=2, anyone=1, candidates=6)


def test_data_that_grew_by_a_day_do_not_reset_the_count():
    grown = look(1, data="9", end=look().end + DAY)
    assert chain_of([look(1), grown]).count(grown).anyone == 2


def test_candidates_tried_without_a_look_are_counted_as_candidates_alone():
    chain = chain_of([look(1, kind=IN_FOLDS, candidates=40), look(2)])
    assert chain.count(look(2)) == Counts(family=1, anyone=1, candidates=46)


def test_looks_taken_side_by_side_are_counted_for_each_other_once_merged():
    """Eight jobs that each try one variant from the same beginning have tried eight, not one."""
    start = [look(100)]
    whole = united(*(chain_of([*start, look(number)]) for number in range(8)))
    assert [whole.count(look(number)).anyone for number in range(8)] == [9] * 8
    assert whole.count(look(100)).anyone == 1
    assert len(whole) == 9


def test_the_same_look_in_two_branches_is_one():
    left, right = chain_of([look(0), look(1), look(2)]), chain_of([look(0), look(2)])
    whole = united(left, right)
    assert len(whole) == 4
    assert whole.count(look(2)).anyone == 3
    assert whole.first(look(2)).sha256 == right.first(look(2)).sha256


def test_what_follows_a_merge_follows_every_end():
    whole = united(chain_of([look(0), look(1)]), chain_of([look(0), look(2)]))
    ends = whole.ends
    assert len(ends) == 2
    put(whole, look(3))
    assert whole.first(look(3)).parents == ends
    assert whole.count(look(1)).anyone == 3
    assert whole.count(look(3)).anyone == 4


def test_an_entry_needs_what_it_follows():
    chain = chain_of([look(0)])
    with pytest.raises(TrialsError, match="which it follows, is not before it"):
        chain.take("1" * 64, ("2" * 64,), look(1))
    with pytest.raises(TrialsError, match="is there twice"):
        chain.take(chain.ends[0], (), look(1))


@st.composite
def three_ledgers(draw):
    """A common beginning, then three branches of their own, which may take the same looks and may meet again."""
    numbers = st.lists(st.integers(0, 8), max_size=5)
    start = draw(numbers)
    chains = [chain_of([look(number, family=f"f{number % 3}") for number in start + draw(numbers)]) for _ in range(3)]
    if draw(st.booleans()):
        chains[0] = united(chains[0], chains[1])
        for number in draw(numbers):
            put(chains[0], look(number, family=f"f{number % 3}"))
    return chains


def told(chain):
    return [one.sha256 for one in chain], chain.ends, [chain.count(one.look) for one in chain]


@given(three_ledgers())
@settings(max_examples=100, deadline=None)
def test_no_order_of_merging_can_be_told_from_another(chains):
    a, b, c = chains
    whole = told(united(a, b, c))
    assert told(united(c, a, b)) == told(united(united(a, b), c)) == told(united(a, united(b, c))) == whole
    assert told(united(a, a)) == told(a)
    assert told(united(united(a, b), b)) == told(united(a, b))
    for chain in chains:
        assert all(end in united(a, b, c) for end in chain.ends)


@given(three_ledgers())
@settings(max_examples=100, deadline=None)
def test_a_merge_never_lowers_a_count(chains):
    whole = united(*chains)
    for chain in chains:
        for one in chain:
            before, after = chain.count(one.look), whole.count(one.look)
            assert after.family >= before.family
            assert after.anyone >= before.anyone
            assert after.candidates >= before.candidates

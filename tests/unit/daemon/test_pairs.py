from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.pairs import NONE_YET, Pair, Pairs, pairs_record, read_pairs

pairs = st.builds(
    Pair,
    serving_is_good=st.booleans(),
    newcomer_is_good=st.booleans(),
    serving_ms=st.integers(0, 10**6),
    newcomer_ms=st.integers(0, 10**6),
)


@given(st.lists(pairs, max_size=30))
def test_every_pair_is_counted_once_and_times_where_both_did_well(seen: list[Pair]) -> None:
    counted = Pairs(version="v")
    for each in seen:
        counted = counted.plus(each)
    assert counted.seen == len(seen)
    assert counted.only_serving == sum(each.serving_is_good and not each.newcomer_is_good for each in seen)
    assert counted.only_newcomer == sum(each.newcomer_is_good and not each.serving_is_good for each in seen)
    well = [each for each in seen if each.serving_is_good and each.newcomer_is_good]
    assert (counted.both_good, counted.newcomer_ms) == (len(well), sum(each.newcomer_ms for each in well))
    assert counted.serving_ms == sum(each.serving_ms for each in well)
    assert read_pairs(json.loads(json.dumps(pairs_record(counted)))) == counted


def test_what_was_counted_beside_another_version_does_not_count() -> None:
    counted = Pairs(version="old").plus(Pair(serving_is_good=True, newcomer_is_good=False))
    assert counted.beside("old") == counted
    assert counted.beside("new") == Pairs(version="new")


def test_nothing_counted_has_an_empty_record() -> None:
    assert pairs_record(NONE_YET) == {}
    assert read_pairs({}) == NONE_YET


@pytest.mark.parametrize("change", [{"seen": 1}, {"neither": "1"}, {"neither": True}, {"version": 1}])
def test_what_is_no_record_is_refused(change: dict[str, Any]) -> None:
    record = pairs_record(Pairs(version="v"))
    with pytest.raises(ValueError, match="no record"):
        read_pairs(record | change)

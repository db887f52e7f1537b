"""Who must sign what: enough of the right ones, named without doubt, never fewer than must."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_fleet.core.keyholders import MAX_HOLDERS, Holder, Quorum, named, quorum, rotated
from homebred_fleet.errors import ConflictError, FleetError, NotFoundError, RequestError


def holder(number: int, name: str = "") -> Holder:
    return Holder(key_id=f"{number:064x}"[::-1], name=name or f"holder-{number}")


ANNA, BEN, CARLA = holder(1, "anna"), holder(2, "ben"), holder(3, "carla")
TWO_OF_THREE = Quorum(holders=(ANNA, BEN, CARLA), threshold=2)


def test_signatures_of_others_count_for_nothing() -> None:
    assert TWO_OF_THREE.missing(frozenset({ANNA.key_id, holder(9).key_id})) == 1
    assert TWO_OF_THREE.waiting(frozenset({ANNA.key_id})) == (BEN, CARLA)


def test_nobody_is_waited_for_once_there_are_enough() -> None:
    assert TWO_OF_THREE.missing(frozenset({ANNA.key_id, BEN.key_id, CARLA.key_id})) == 0
    assert TWO_OF_THREE.waiting(frozenset({ANNA.key_id, CARLA.key_id})) == ()


@pytest.mark.parametrize(("count", "threshold"), [(0, 1), (1, 0), (1, 2), (3, 4), (MAX_HOLDERS + 1, 1)])
def test_a_role_that_nobody_could_sign_or_too_many_may_is_refused(count: int, threshold: int) -> None:
    with pytest.raises(RequestError) as refused:
        quorum("root", [holder(number) for number in range(count)], threshold)
    assert refused.value.hint


def test_one_key_under_two_names_does_not_count_twice() -> None:
    with pytest.raises(RequestError, match="named twice"):
        quorum("root", [ANNA, Holder(key_id=ANNA.key_id, name="other")], 2)


def test_a_rotation_keeps_the_threshold_unless_another_is_given() -> None:
    new = rotated("root", TWO_OF_THREE, add=[holder(4)], drop=["anna"])
    assert new == Quorum(holders=(BEN, CARLA, holder(4)), threshold=2)
    assert rotated("root", TWO_OF_THREE, threshold=3).threshold == 3


def test_a_rotation_that_leaves_too_few_or_changes_nothing_is_refused() -> None:
    with pytest.raises(RequestError, match="would have 1 keys, and 2"):
        rotated("root", TWO_OF_THREE, drop=["anna", "ben"])
    with pytest.raises(RequestError, match="would change"):
        rotated("root", TWO_OF_THREE, threshold=2)
    with pytest.raises(ConflictError, match="signs root already"):
        rotated("root", TWO_OF_THREE, add=[ANNA])


def test_a_holder_is_found_by_name_or_by_the_beginning_of_the_keys_id() -> None:
    assert named("ben", TWO_OF_THREE.holders) == BEN
    assert named(CARLA.key_id[:8], TWO_OF_THREE.holders) == CARLA
    assert named("ben", [BEN, BEN]) == BEN


def test_whoever_cannot_be_told_apart_is_not_guessed() -> None:
    with pytest.raises(NotFoundError, match=r"anna \(10000000\)"):
        named("dora", TWO_OF_THREE.holders)
    with pytest.raises(NotFoundError):
        named(ANNA.key_id[:7], TWO_OF_THREE.holders)
    with pytest.raises(RequestError, match="more than one key"):
        named("anna", [ANNA, holder(5, "anna")])


@given(
    st.integers(1, 6),
    st.integers(-1, 7),
    st.lists(st.integers(0, 9), max_size=4),
    st.lists(st.integers(0, 9).map(lambda number: f"holder-{number}"), max_size=4),
)
def test_whatever_is_rotated_can_be_signed_or_is_refused_in_words(
    count: int, threshold: int, add: list[int], drop: list[str]
) -> None:
    old = Quorum(holders=tuple(map(holder, range(count))), threshold=1)
    try:
        new = rotated("targets", old, add=map(holder, add), drop=drop, threshold=threshold)
    except FleetError as refused:
        said = refused.record()
        assert said["message"] != said["hint"]
        return
    ids = [one.key_id for one in new.holders]
    assert 1 <= new.threshold <= len(set(ids)) == len(ids)
    assert new.missing(frozenset(ids)) == 0
    assert {one.name for one in new.holders}.isdisjoint({*drop} - {holder(number).name for number in add})

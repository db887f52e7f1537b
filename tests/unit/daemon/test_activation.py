"""What is in force, and what a rollback goes back to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.activation import (
    BY_HAND,
    Activation,
    InForce,
    Slot,
    activation_record,
    read_activation,
    read_slot,
)
from homebred_protocol.documents.fields import DocumentError
from homebred_protocol.documents.specialist import is_specialist_id

ONE = Activation(number=1, digest="sha256:" + "1" * 64, activated_at_s=7, lease_expires_at_s=9)
TWO = replace(ONE, number=2, is_good=False)


def test_a_slot_is_named_by_id_and_number_and_read_back() -> None:
    assert Slot(id="intake").name == "intake"
    assert Slot(id="intake", number=7).name == "intake@7"
    assert read_slot("intake@7") == Slot(id="intake", number=7)
    assert read_slot("intake") == Slot(id="intake")


@given(st.text(alphabet="ab@./-0123", max_size=12))
def test_no_name_is_two_slots_and_none_leads_elsewhere(name: str) -> None:
    slot = read_slot(name)
    if slot is not None:
        assert slot.name == name
        assert is_specialist_id(slot.id)
        assert "/" not in name
        assert not name.startswith(".")
        assert "@" not in slot.id


def test_what_was_good_is_gone_back_to_and_what_was_not_is_not() -> None:
    first = InForce().activated(replace(ONE, is_good=False))
    assert first.last_good is None
    good = first.settled()
    assert good.current == ONE
    second = good.activated(TWO)
    assert (second.current, second.last_good) == (TWO, ONE)
    third = second.activated(replace(TWO, number=3))
    assert third.last_good == ONE
    assert third.moved_back() == InForce(current=ONE)
    assert third.needed == {3, 1}
    assert third.serves(3)
    assert not InForce().serves(BY_HAND)


def test_what_was_built_is_named_by_a_record_and_one_of_before_reads_as_it_was_written() -> None:
    built = replace(ONE, built="sha256:" + "b" * 64)
    assert read_activation(activation_record(built)) == built
    assert "built" not in activation_record(ONE)
    with pytest.raises(DocumentError, match="built"):
        read_activation(activation_record(built) | {"built": "sha256:b"})


def test_what_came_by_hand_is_good() -> None:
    by_hand = InForce(current=Activation(number=BY_HAND))
    assert by_hand.activated(TWO).moved_back() == by_hand


def test_the_record_is_read_back_and_a_damaged_one_is_not() -> None:
    assert read_activation(activation_record(TWO)) == TWO
    for change in ({"number": 0}, {"digest": "md5:1"}, {"version": 2}, {"is_good": "yes"}, {"more": 1}):
        with pytest.raises(DocumentError):
            read_activation(activation_record(TWO) | change)
    with pytest.raises(DocumentError):
        read_activation([])

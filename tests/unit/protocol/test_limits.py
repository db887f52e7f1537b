"""The bounds that a device and its controller share leave room for each other."""

from __future__ import annotations

from homebred_protocol import limits


def test_a_controller_can_always_go_above_what_it_believes_and_a_database_keeps_that() -> None:
    assert limits.MAX_CLAIMED < limits.MAX_GIVEN < 2**63
    assert limits.MAX_GIVEN - limits.MAX_CLAIMED > 10**18


def test_a_million_gaps_that_count_as_much_as_they_may_can_still_be_added_up() -> None:
    assert limits.MAX_SEQ * 1_000_000 < 2**63

"""The bounds that a device and its controller share leave room for each other."""

from __future__ import annotations

from homebred_protocol import limits


def test_a_controller_can_always_go_above_what_it_believes_and_a_database_keeps_that() -> None:
    assert limits.MAX_CLAIMED < limits.MAX_GIVEN < 2**63
    assert limits.MAX_GIVEN - limits.MAX_CLAIMED > 10**18

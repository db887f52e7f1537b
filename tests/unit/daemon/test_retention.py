"""What may leave the store."""

from __future__ import annotations

from homebred_daemon.core.retention import Held, removable

ONE, TWO, THREE = (Held(number=number, parts=frozenset({f"base {number}"})) for number in (1, 2, 3))


def test_what_nobody_needs_leaves() -> None:
    assert removable([THREE, ONE, TWO], needed={3}, in_use=()) == [1, 2]


def test_what_answers_run_on_stays() -> None:
    assert removable([ONE, TWO, THREE], needed={3}, in_use={"base 1"}) == [2]


def test_a_base_that_a_kept_release_has_too_keeps_no_other_one() -> None:
    old = Held(number=1, parts=frozenset({"base", "adapter 1"}))
    new = Held(number=2, parts=frozenset({"base", "adapter 2"}))
    assert removable([old, new], needed={2}, in_use={"base", "adapter 2"}) == [1]
    assert removable([old, new], needed={2}, in_use={"base", "adapter 1"}) == []


def test_a_damaged_one_leaves_where_it_is_not_needed() -> None:
    assert removable([Held(number=1, parts=frozenset())], needed=(), in_use={"base"}) == [1]

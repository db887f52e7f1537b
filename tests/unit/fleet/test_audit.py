"""The audit's chain shows every change within it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from homebred_fleet.core.audit import START, ChainedEntry, Entry, digest_of, first_broken


def chain(length: int) -> list[ChainedEntry]:
    entries: list[ChainedEntry] = []
    for number in range(1, length + 1):
        previous = entries[-1].digest if entries else START
        entry = Entry(at_s=number, actor="ada", action="assign", target=f"d{number}", details={"b": 1, "a": "ä"})
        entries.append(ChainedEntry(number=number, entry=entry, previous=previous, digest=digest_of(previous, entry)))
    return entries


def test_a_chain_as_it_was_written_is_whole_with_numbers_left_out() -> None:
    assert first_broken([]) is None
    assert first_broken(chain(5)) is None
    assert first_broken([replace(one, number=one.number * 3) for one in chain(5)]) is None


@pytest.mark.parametrize("change", [{"at_s": 9}, {"actor": "eve"}, {"action": ""}, {"target": "d9"}, {"details": {}}])
def test_a_changed_row_shows_whatever_was_changed(change: dict[str, object]) -> None:
    rows = chain(5)
    rows[2] = replace(rows[2], entry=replace(rows[2].entry, **change))  # type: ignore[arg-type]
    assert first_broken(rows) == 3


def test_a_row_that_was_changed_with_its_digest_shows_at_the_next_one() -> None:
    rows = chain(5)
    entry = replace(rows[2].entry, actor="eve")
    rows[2] = replace(rows[2], entry=entry, digest=digest_of(rows[2].previous, entry))
    assert first_broken(rows) == 4


def test_a_row_taken_out_put_in_or_exchanged_shows() -> None:
    rows = chain(5)
    assert first_broken(rows[:2] + rows[3:]) == 4
    assert first_broken([*rows[:3], rows[2], *rows[3:]]) == 3
    assert first_broken([rows[1], rows[0]]) == 2
    assert first_broken(rows[1:]) == 2


def test_the_order_of_details_does_not_count() -> None:
    one = Entry(at_s=1, actor="a", action="b", target="c", details={"x": 1, "y": 2})
    assert digest_of(START, one) == digest_of(START, replace(one, details={"y": 2, "x": 1}))

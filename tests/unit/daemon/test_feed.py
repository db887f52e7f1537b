"""Where to go on in a ledger's feed, whatever power cuts, restored copies and dropped rows have done to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.feed import START, Extent, Place, Writer, place_at, read_place, resumed

ONE, TWO, THREE = Writer(id="one", after=0), Writer(id="two", after=10), Writer(id="three", after=25)
NOBODY = Extent(writers=(), first=0, last=0)


def extent(*writers: Writer, first: int = 1, last: int) -> Extent:
    return Extent(writers=writers, first=first, last=last)


def place(writer: str, position: int, file: str = "one") -> Place:
    return Place(file=file, writer=writer, position=position)


@given(st.builds(Place, file=st.text("abc0"), writer=st.text("abc0"), position=st.integers(0, 2**60)))
def test_a_place_is_read_as_it_was_written(written: Place) -> None:
    assert read_place(written.text) == written


def test_the_start_is_a_place_and_anything_else_is_none() -> None:
    assert read_place(START) == Place()
    with pytest.raises(ValueError, match="unpack"):
        read_place("17")


@pytest.mark.parametrize(("position", "writer"), [(0, "one"), (10, "one"), (11, "two"), (25, "two"), (26, "three")])
def test_a_place_names_who_wrote_the_row_before_it(position: int, writer: str) -> None:
    assert place_at(position, extent(ONE, TWO, THREE, last=30)) == place(writer, position)


def test_nothing_that_was_written_has_a_place_too() -> None:
    assert place_at(0, NOBODY) == Place()
    assert resumed(Place(), NOBODY) == Place()


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        pytest.param(place("two", 17), extent(ONE, TWO, last=20), place("two", 17), id="nothing happened"),
        pytest.param(place("two", 20), extent(ONE, TWO, last=14), place("two", 14), id="the newest rows went"),
        pytest.param(place("two", 30), extent(ONE, TWO, THREE, last=40), place("two", 25), id="others took them"),
        pytest.param(place("one", 10), extent(ONE, TWO, last=20), place("one", 10), id="another process went on"),
        pytest.param(Place(), extent(ONE, last=3), place("one", 0), id="the first process began"),
        pytest.param(place("x", 9, "old"), extent(ONE, last=3), place("one", 0), id="another ledger took its place"),
        pytest.param(place("two", 20), extent(ONE, last=8), place("one", 8), id="an older copy was put back"),
        pytest.param(
            place("two", 20), extent(ONE, THREE, first=24, last=40), place("one", 20), id="its writer was dropped"
        ),
        pytest.param(place("one", 4), NOBODY, Place(), id="an empty ledger took its place"),
    ],
)
def test_reading_goes_on_where_what_was_read_ends(before: Place, now: Extent, expected: Place) -> None:
    assert resumed(before, now) == expected

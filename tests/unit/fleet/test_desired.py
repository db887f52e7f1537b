"""Versions that only rise, past whatever a device has seen; and what a broker has lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_fleet.core.desired import (
    Part,
    ReportOrder,
    is_newer_report,
    lost_by_broker,
    must_jump,
    next_version,
    standing,
)

OURS, OTHERS = "sha256:ours", "sha256:others"


def jumps(version: int, highest: int, newest: int, digest: str) -> bool:
    part = Part(name="policy", digest=digest, state="applied")
    asked = {"policy": OURS, "gazetteer": ""}
    return must_jump(version=version, highest_reported=highest, newest_reported=newest, asked=asked, parts=[part])


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_a_change_is_above_all_that_was_given_out_or_seen(allotted: int, reported: int) -> None:
    assert next_version(allotted=allotted, highest_reported=reported) > max(allotted, reported)


@pytest.mark.parametrize(
    ("version", "highest", "newest", "digest", "expected"),
    [
        (5, 4, 4, OTHERS, False),  # it is on its way
        (5, 5, 5, OURS, False),
        (5, 5, 5, OTHERS, True),  # version 5 of a controller that was lost
        (5, 5, 4, OTHERS, False),  # the parts speak of what was before
        (5, 9, 9, OURS, True),
        (0, 1, 1, OURS, True),
    ],
)
def test_the_controller_jumps_above_what_it_did_not_give_out(
    version: int, highest: int, newest: int, digest: str, *, expected: bool
) -> None:
    assert jumps(version, highest, newest, digest) is expected


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], "applied"),
        (["applied", "stopped"], "applied"),
        (["applied", "fetching"], "pending"),
        (["fetching", "refused"], "refused"),
        (["a word of a newer device"], "pending"),
    ],
)
def test_all_parts_in_a_word(states: list[str], expected: str) -> None:
    assert standing(Part(name=str(place), digest="", state=one) for place, one in enumerate(states)) == expected


def test_a_report_counts_where_it_is_newer_or_of_the_boot_that_is_there() -> None:
    known = ReportOrder(boot_id="a", boot_number=5, revision=7)
    told = [
        (ReportOrder(boot_id="a", boot_number=5, revision=8), True),
        (ReportOrder(boot_id="a", boot_number=5, revision=7), False),
        (ReportOrder(boot_id="b", boot_number=6, revision=1), True),
        (ReportOrder(boot_id="b", boot_number=4, revision=9), False),
        (ReportOrder(boot_id="c", boot_number=1, revision=1), True),
    ]
    assert [is_newer_report(known, one, present_boot="c") for one, _ in told] == [holds for _, holds in told]
    assert is_newer_report(None, told[0][0], present_boot="")


def test_what_a_broker_keeps_of_another_version_or_not_at_all_is_published_again() -> None:
    assert lost_by_broker({"a": 3, "b": 2, "c": 1}, {"a": 3, "b": 1, "d": 9}) == ("b", "c")

from __future__ import annotations

import pytest

from homebred_fleet.core.lifetimes import DAY_S, DEVICE_S, REVOCATION_LIST_S, is_due


@pytest.mark.parametrize("day", [60, 90, 1000, -1])
def test_a_certificate_of_90_days_is_due_from_its_60th_and_where_the_clock_stands_before_it(day: int) -> None:
    assert is_due(0, DEVICE_S, day * DAY_S)


@pytest.mark.parametrize("day", [0, 1, 59])
def test_before_that_it_is_not(day: int) -> None:
    assert not is_due(0, DEVICE_S, day * DAY_S)


def test_a_revocation_list_outlives_every_certificate_of_a_device_that_it_names() -> None:
    assert REVOCATION_LIST_S > DEVICE_S

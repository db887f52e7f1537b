"""What a device's own metadata says: signed when it must be, versions that only rise, no lease under a stop."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_fleet.core import director
from homebred_fleet.core.director import LIFE_S, MAX_LIFE_S, Assigned, Standing, Wanted, custom_of
from homebred_fleet.errors import RequestError

NOW_S = 1_800_000_000
TARGET = Assigned(path="models/qa/intake-3/7.json", length=100, sha256="ab" * 32)
OTHER = Assigned(path="policies/clinic-east/main/2.toml", length=50, sha256="cd" * 32)
WANTED = Wanted(device="kiosk-1", targets=(TARGET, OTHER), stop_epoch=3, stopped=False)


def following(wanted: Wanted, last: Standing | None, now_s: int, *, started_at_s: int = 0) -> Standing | None:
    return director.following(wanted, last, now_s, started_at_s=started_at_s)


def signed(wanted: Wanted, last: Standing | None, now_s: int, *, started_at_s: int = 0) -> Standing:
    found = following(wanted, last, now_s, started_at_s=started_at_s)
    assert found is not None
    return found


def test_what_was_never_signed_is_signed_for_a_day() -> None:
    first = signed(WANTED, None, NOW_S)
    assert (first.issued_at_s, first.expires_at_s) == (NOW_S, NOW_S + LIFE_S)


def test_what_still_says_it_all_is_kept_for_half_of_its_life() -> None:
    first = signed(WANTED, None, NOW_S)
    assert following(WANTED, first, NOW_S + LIFE_S // 2 - 1) is None
    assert following(replace(WANTED, targets=(OTHER, TARGET)), first, NOW_S + 1) is None
    again = signed(WANTED, first, NOW_S + LIFE_S // 2)
    assert again.version > first.version
    assert again.content == first.content


@pytest.mark.parametrize(
    "changed",
    [
        replace(WANTED, targets=(TARGET,)),
        replace(WANTED, targets=(replace(TARGET, sha256="ef" * 32), OTHER)),
        replace(WANTED, stop_epoch=4),
        replace(WANTED, stopped=True),
        replace(WANTED, life_s=30 * LIFE_S),
        replace(WANTED, device="kiosk-2"),
    ],
)
def test_whatever_changes_is_signed_at_once_under_a_higher_version(changed: Wanted) -> None:
    first = signed(WANTED, None, NOW_S)
    again = signed(changed, first, NOW_S + 1)
    assert again.version > first.version
    assert again.content != first.content


def test_a_controller_restored_from_an_older_copy_goes_on_above_what_devices_hold() -> None:
    old = signed(WANTED, None, NOW_S)
    newest = old
    for step in range(1, 50):
        newest = signed(replace(WANTED, stop_epoch=step), newest, NOW_S + 3600)
    restored = signed(WANTED, old, NOW_S + 7200, started_at_s=NOW_S + 7100)
    assert restored.version > newest.version


def test_what_was_signed_by_a_clock_that_ran_ahead_is_signed_anew_and_above_it() -> None:
    ahead = signed(WANTED, None, NOW_S + 400 * LIFE_S)
    again = signed(WANTED, ahead, NOW_S)
    assert again.version == ahead.version + 1
    assert again.expires_at_s == NOW_S + LIFE_S


def test_under_a_stop_nobody_gets_a_lease() -> None:
    standing = signed(WANTED, None, NOW_S)
    assert custom_of(replace(WANTED, stopped=True), standing) == {"device": "kiosk-1"}
    assert custom_of(WANTED, standing) == {
        "device": "kiosk-1",
        "lease": {"stop_epoch": 3, "issued_at_s": NOW_S, "expires_at_s": NOW_S + LIFE_S},
    }


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (replace(WANTED, device="Kiosk 1"), "no device's name"),
        (replace(WANTED, device="homebred-fleet"), "no device's name"),
        (replace(WANTED, targets=(TARGET, TARGET)), "named twice"),
        (replace(WANTED, targets=(replace(TARGET, path="x/y"),)), "names no target"),
        (replace(WANTED, targets=(replace(TARGET, length=0),)), "has 0 bytes"),
        (replace(WANTED, targets=(replace(TARGET, sha256="AB" * 32),)), "no SHA-256"),
        (replace(WANTED, life_s=0), "no life"),
        (replace(WANTED, life_s=MAX_LIFE_S + 1), "no life"),
        (replace(WANTED, stop_epoch=-1), "no epoch"),
        (
            replace(WANTED, targets=tuple(replace(TARGET, path=f"models/qa/x/{n}.json") for n in range(1, 66))),
            "65 targets are more than 64",
        ),
    ],
)
def test_what_no_device_would_take_is_not_signed(wrong: Wanted, why: str) -> None:
    with pytest.raises(RequestError, match=why):
        following(wrong, None, NOW_S)


@given(st.lists(st.tuples(st.integers(-40 * LIFE_S, 40 * LIFE_S), st.integers(0, 2), st.booleans()), max_size=30))
def test_whatever_the_clock_does_no_version_is_given_twice_and_none_falls(
    steps: list[tuple[int, int, bool]],
) -> None:
    last: Standing | None = None
    for offset_s, epoch, stopped in steps:
        found = following(replace(WANTED, stop_epoch=epoch, stopped=stopped), last, NOW_S + offset_s)
        if found is not None:
            assert last is None or found.version > last.version
            last = found

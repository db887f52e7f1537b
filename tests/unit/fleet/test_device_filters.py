"""What a filter says of a device."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from tests.support.device_filters import NOW_S, devices, filters

from homebred_fleet.core.device_filters import DesiredFacts, DeviceFacts, fits
from homebred_fleet.core.filters import Not, parse

KIOSK = DeviceFacts(
    id="clinic-east-00ab12cd",
    site="clinic-east",
    state="enrolled",
    labels={"role": "kiosk"},
    online=True,
    heard_at_s=NOW_S - 60,
    software_version="0.1.0",
    policy_digest="sha256:" + "ab" * 32,
    desired=DesiredFacts(version=3, reported_version=3),
    certificate_ends_at_s=NOW_S + 30 * 86400,
)
UNHEARD = replace(
    KIOSK,
    labels={},
    online=False,
    heard_at_s=None,
    software_version="",
    policy_digest="",
    desired=DesiredFacts(version=None, reported_version=None),
    certificate_ends_at_s=None,
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "site==clinic-east and label.role==kiosk and online==true and not state==revoked",
        "id==clinic-east-*",
        "id==*12cd",
        "id==*east*",
        "site in (factory, clinic-east)",
        "label.role!=press",
        "label.ward!=a",
        "seen<61s and seen<=60s and seen>=60s and seen>59s",
        "version==0.1.*",
        "policy==abab",
        "desired==in_step",
        "certificate<31d",
    ],
)
def test_a_device_fits(text: str) -> None:
    assert fits(KIOSK, parse(text), NOW_S)
    assert not fits(KIOSK, Not(parse(text)), NOW_S)


@pytest.mark.parametrize(
    "text",
    [
        "id==clinic-east",
        "site==Clinic-East",
        "seen<60s",
        "online==false",
        "policy==none",
        "label.ward==*",
        "version!=*",
    ],
)
def test_a_device_does_not_fit(text: str) -> None:
    assert not fits(KIOSK, parse(text), NOW_S)


@pytest.mark.parametrize(
    "text",
    ["seen>300w", "certificate<0s", "policy==none", "policy!=abab", "version!=*", "label.role!=*", "desired==unset"],
)
def test_one_that_was_never_heard_is_old_and_tells_nothing(text: str) -> None:
    assert fits(UNHEARD, parse(text), NOW_S)


@pytest.mark.parametrize(
    ("version", "reported", "standing", "word"),
    [
        (None, None, "applied", "unset"),
        (None, 4, "refused", "unset"),
        (2, None, "applied", "behind"),
        (2, 1, "refused", "behind"),
        (2, 2, "pending", "behind"),
        (2, 2, "refused", "refused"),
        (2, 2, "applied", "in_step"),
        (2, 5, "applied", "in_step"),
    ],
)
def test_how_a_device_stands_to_what_it_should_be(
    version: int | None, reported: int | None, standing: str, word: str
) -> None:
    assert DesiredFacts(version=version, reported_version=reported, standing=standing).word == word


@given(devices(), filters(), filters())
def test_and_or_and_not_mean_what_logic_means(device: DeviceFacts, one: str, other: str) -> None:
    first, second = fits(device, parse(one), NOW_S), fits(device, parse(other), NOW_S)
    if len(one) + len(other) < 300:
        assert fits(device, parse(f"({one}) and ({other})"), NOW_S) == (first and second)
        assert fits(device, parse(f"({one}) or ({other})"), NOW_S) == (first or second)
        assert fits(device, parse(f"not ({one})"), NOW_S) == (not first)

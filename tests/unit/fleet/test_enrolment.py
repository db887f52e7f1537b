"""Who is let in, by a token or by a certificate: one reason each."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_fleet.core.enrolment import (
    EXPIRED,
    MAX_LIVE_CERTIFICATES,
    MAX_TOKEN_LIFE_S,
    REVOKED,
    UNKNOWN,
    UNKNOWN_CERTIFICATE,
    USED,
    WITHDRAWN,
    Certificate,
    Device,
    KnownDevice,
    NewDevice,
    Refusal,
    Token,
    device_name,
    judge_certificate,
    judge_known,
    judge_token,
    makes_room,
    problems_of_token,
)
from homebred_protocol.ids import is_device_id

TOKEN = Token(
    id="a1b2c3",
    site="clinic-east",
    labels={"role": "kiosk"},
    device="",
    replaces="",
    created_at_s=100,
    created_by="anna",
    expires_at_s=200,
)
USED_TOKEN = replace(TOKEN, used_at_s=150, used_by="clinic-east-00000001", used_key="k1")
DEVICE = Device(id="clinic-east-00000001", site="clinic-east", labels={}, state="enrolled")
CERTIFICATE = Certificate(serial="ff", not_after_s=1000)


def test_a_fresh_token_lets_a_new_device_in_at_its_site_with_its_labels() -> None:
    assert judge_token(TOKEN, key="k1", now_s=150) == NewDevice(site="clinic-east", labels={"role": "kiosk"})


def test_a_token_made_for_a_device_lets_that_one_in_again() -> None:
    token = replace(TOKEN, device="clinic-east-00000001")
    assert judge_token(token, key="k1", now_s=150) == KnownDevice(id="clinic-east-00000001", is_retry=False)


def test_a_token_may_give_a_new_device_the_place_of_another() -> None:
    admission = judge_token(replace(TOKEN, replaces="clinic-east-00000009"), key="k1", now_s=150)
    assert isinstance(admission, NewDevice)
    assert admission.replaces == "clinic-east-00000009"


@pytest.mark.parametrize(
    ("token", "now_s", "refusal"),
    [
        (None, 150, UNKNOWN),
        (TOKEN, 200, EXPIRED),
        (replace(TOKEN, withdrawn_at_s=120), 150, WITHDRAWN),
        (replace(TOKEN, withdrawn_at_s=120), 250, WITHDRAWN),
        (replace(USED_TOKEN, used_key="k2"), 160, USED),
        (replace(USED_TOKEN, withdrawn_at_s=155), 160, USED),
        (USED_TOKEN, 200, USED),
    ],
)
def test_any_other_lets_nobody_in(token: Token | None, now_s: int, refusal: Refusal) -> None:
    assert judge_token(token, key="k1", now_s=now_s) == refusal


def test_whose_answer_was_lost_may_ask_again_with_the_same_key() -> None:
    assert judge_token(USED_TOKEN, key="k1", now_s=160) == KnownDevice(id="clinic-east-00000001", is_retry=True)


@given(
    used=st.booleans(),
    withdrawn=st.booleans(),
    same_key=st.booleans(),
    now_s=st.integers(0, 300),
    device=st.sampled_from(["", "clinic-east-00000002"]),
)
def test_a_used_token_never_lets_in_another_key(
    *, used: bool, withdrawn: bool, same_key: bool, now_s: int, device: str
) -> None:
    token = replace(USED_TOKEN if used else TOKEN, withdrawn_at_s=1 if withdrawn else None, device=device)
    admission = judge_token(token, key="k1" if same_key else "other", now_s=now_s)
    if isinstance(admission, Refusal):
        return
    assert not withdrawn
    assert now_s < token.expires_at_s
    assert (admission == KnownDevice(id=token.used_by, is_retry=True)) == used
    assert same_key or not used


@pytest.mark.parametrize(
    ("device", "is_retry", "refusal"),
    [
        (DEVICE, True, None),
        (DEVICE, False, None),
        (None, False, REVOKED),
        (replace(DEVICE, state="replaced"), False, REVOKED),
        (replace(DEVICE, state="revoked", revoked_at_s=90), False, None),
        (replace(DEVICE, state="revoked", revoked_at_s=90), True, REVOKED),
        (replace(DEVICE, state="revoked", revoked_at_s=101), False, REVOKED),
    ],
)
def test_a_revoked_device_comes_back_only_by_a_token_that_was_made_for_it_afterwards(
    device: Device | None,
    is_retry: bool,  # noqa: FBT001  # a case's value
    refusal: Refusal | None,
) -> None:
    assert judge_known(TOKEN, device, is_retry=is_retry) == refusal


@pytest.mark.parametrize(
    ("device", "certificate", "refusal"),
    [
        (DEVICE, CERTIFICATE, None),
        (None, None, UNKNOWN_CERTIFICATE),
        (replace(DEVICE, state="revoked"), CERTIFICATE, REVOKED),
        (replace(DEVICE, state="replaced"), CERTIFICATE, REVOKED),
        (DEVICE, replace(CERTIFICATE, revoked_at_s=5), REVOKED),
        (DEVICE, replace(CERTIFICATE, not_after_s=500), UNKNOWN_CERTIFICATE),
    ],
)
def test_a_certificate_counts_while_the_database_says_so(
    device: Device | None, certificate: Certificate | None, refusal: Refusal | None
) -> None:
    assert judge_certificate(device, certificate, now_s=500) == refusal


def test_a_device_that_never_keeps_its_certificate_gets_each_in_the_place_of_others_from_some_number_on() -> None:
    assert not makes_room(MAX_LIVE_CERTIFICATES - 1)
    assert makes_room(MAX_LIVE_CERTIFICATES)


@given(random=st.binary(min_size=4, max_size=4))
def test_a_new_devices_name_is_its_sites_and_some_digits(random: bytes) -> None:
    name = device_name("clinic-east", random)
    assert name == f"clinic-east-{random.hex()}"
    assert is_device_id(name)


@pytest.mark.parametrize("site", ["", "a/b", "a+", "#", "Clinic", "x" * 33, "-a"])
def test_a_name_that_a_broker_would_read_as_a_pattern_is_never_made(site: str) -> None:
    with pytest.raises(ValueError, match="no device's name"):
        device_name(site, b"\x00\x01\x02\x03")


def test_what_is_wrong_with_a_token_is_said_all_at_once() -> None:
    problems = problems_of_token(
        site="a+b", labels={"ROLE": "x"}, device="a", replaces="#", life_s=MAX_TOKEN_LIFE_S + 1
    )
    assert len(problems) == 5
    assert problems_of_token(site="a", labels={"role": "x"}, device="", replaces="", life_s=60) == []

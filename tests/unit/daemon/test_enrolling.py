from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.enrolling import REFUSALS, controller_url, fingerprint, token, welcome

DIGEST = "0123456789abcdef" * 4
TOKEN = "hbt_" + "ABCDEFG234567" * 4
WELCOME: dict[str, Any] = {
    "device_id": "clinic-east-1f2e3d4c",
    "site": "clinic-east",
    "labels": {"role": "kiosk"},
    "broker_host": "fleet.example",
    "broker_port": 8883,
    "server_time_s": 1_790_000_000,
}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("fleet.example", "https://fleet.example"),
        ("  https://fleet.example:8443/ ", "https://fleet.example:8443"),
        ("fleet.example:8443", "https://fleet.example:8443"),
        ("https://10.0.0.7", "https://10.0.0.7"),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_an_address_is_taken_as_people_type_it(typed: str, meant: str) -> None:
    assert controller_url(typed) == meant


@pytest.mark.parametrize(
    ("typed", "what"),
    [
        ("http://fleet.example", "not https"),
        ("", "no host"),
        ("https://", "no host"),
        ("https://user:pw@fleet.example", "more than a host"),
        ("https://fleet.example/path", "more than a host"),
        ("https://fleet.example?x=1", "more than a host"),
        ("https://fleet.example:99999", "no address"),
        ("https://fleet example", "no host"),
        ("mqtts://fleet.example", "not https"),
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(typed: str, what: str) -> None:
    with pytest.raises(ValueError, match=what) as refused:
        controller_url(typed)
    assert "pw" not in str(refused.value)


@given(
    capitals=st.booleans(),
    colons=st.booleans(),
    prefix=st.sampled_from(["", "sha256:", "SHA256:", "SHA256 ", "sha256="]),
)
def test_a_fingerprint_is_taken_however_a_tool_prints_it(capitals: bool, colons: bool, prefix: str) -> None:  # noqa: FBT001
    shown = DIGEST.upper() if capitals else DIGEST
    if colons:
        shown = ":".join(shown[place : place + 2] for place in range(0, len(shown), 2))
    assert fingerprint(f" {prefix}{shown}\n") == f"sha256:{DIGEST}"


@pytest.mark.parametrize("typed", ["", "sha256:", DIGEST[1:], f"{DIGEST}0", "z" * 64, "md5:" + DIGEST])
def test_what_is_no_fingerprint_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal"):
        fingerprint(typed)


def test_a_token_is_taken_without_its_line_end_and_never_repeated_when_wrong() -> None:
    assert token(f"{TOKEN}\n") == TOKEN
    for wrong in ("", "hbt_", TOKEN[4:], f"{TOKEN} x", TOKEN + "0" * 100, "hbt_secretsecretsecretsecret1"):
        with pytest.raises(ValueError, match="begins with hbt_") as refused:
            token(wrong)
        assert "secret" not in str(refused.value)


def test_a_controllers_welcome_is_read() -> None:
    read = welcome(WELCOME | {"more": "of a later version"})
    assert (read.device_id, read.site, read.labels) == ("clinic-east-1f2e3d4c", "clinic-east", {"role": "kiosk"})
    assert (read.broker_host, read.broker_port, read.server_time_s) == ("fleet.example", 8883, 1_790_000_000)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("device_id", "+"),
        ("device_id", "homebred-fleet"),
        ("device_id", 7),
        ("site", "../etc"),
        ("labels", {"Role": "kiosk"}),
        ("labels", {"role": 1}),
        ("labels", {f"l{number}": "x" for number in range(65)}),
        ("broker_host", "a b"),
        ("broker_host", ""),
        ("broker_port", True),
        ("broker_port", 0),
        ("broker_port", 65_536),
        ("broker_port", "8883"),
        ("server_time_s", 0),
        ("server_time_s", 1.5),
        ("server_time_s", None),
    ],
)
def test_a_welcome_with_anything_else_in_it_is_refused_by_its_field(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        welcome(WELCOME | {field: value})


@pytest.mark.parametrize("value", [None, [], "text", {}])
def test_what_is_no_welcome_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="device_id"):
        welcome(value)


def test_every_refusal_says_what_and_what_next() -> None:
    for refusal in REFUSALS.values():
        assert refusal.what
        assert refusal.next

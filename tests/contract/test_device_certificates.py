"""What a controller answers, however damaged: certificates that serve, or an error for people, never a defect."""

from __future__ import annotations

import base64
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.fleet_authority import Authority, as_est

from homebred_daemon.adapters.device_certificates import (
    certificates_in,
    facts,
    fingerprint,
    new_key,
    own_chain,
    request_for,
    trusted_from,
)
from homebred_daemon.errors import HomebredError

pytestmark = pytest.mark.filterwarnings("ignore")  # cryptography has much to say of damaged certificates
AUTHORITY, KEY = Authority(), new_key()
OWN = AUTHORITY.issue(request_for(KEY), "clinic-1")
ANSWER = as_est([OWN, AUTHORITY.issuing.certificate])
NOW = datetime.now(UTC)


def taken(body: bytes) -> None:
    """As enrolment takes an answer."""
    certificates = certificates_in(body)
    chain = own_chain(certificates, KEY, AUTHORITY.pem(), now=NOW)
    facts(chain[0])


def test_a_sound_answer_is_taken() -> None:
    taken(ANSWER)


@given(body=st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_an_error_for_people(body: bytes) -> None:
    for answer in (body, base64.b64encode(body)):
        with suppress(HomebredError):
            taken(answer)


@settings(max_examples=300)
@given(place=st.integers(0, 1 << 16), value=st.integers(0, 255), cut=st.integers(0, 40))
def test_a_damaged_answer_is_an_answer_or_an_error_for_people(place: int, value: int, cut: int) -> None:
    der = bytearray(base64.b64decode(ANSWER))
    der[place % len(der)] = value
    with suppress(HomebredError):
        taken(base64.b64encode(bytes(der[: len(der) - cut])))


@settings(max_examples=300)
@given(place=st.integers(0, 1 << 16), value=st.integers(0, 255))
def test_a_damaged_root_is_not_the_pinned_one(place: int, value: int) -> None:
    der = bytearray(base64.b64decode(as_est(AUTHORITY.certificates)))
    der[place % len(der)] = value
    with suppress(HomebredError):
        trusted = trusted_from(certificates_in(base64.b64encode(bytes(der))), AUTHORITY.fingerprint)
        assert fingerprint(trusted[0]) == AUTHORITY.fingerprint
        sound = {one.public_bytes(Encoding.DER) for one in AUTHORITY.certificates}
        assert {one.public_bytes(Encoding.DER) for one in trusted} <= sound

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_protocol import trusted_files
from homebred_protocol.requests import (
    CORRELATION_BYTES,
    MAX_ANSWER_BYTES,
    MAX_ANSWERED_BYTES,
    MAX_ASKED_BYTES,
    MAX_REQUEST_BYTES,
    Answer,
    Outcome,
    Request,
    answer_bytes,
    read_answer,
    read_request,
    request_bytes,
)

CORRELATIONS = st.binary(min_size=CORRELATION_BYTES, max_size=CORRELATION_BYTES)
ONE = b"c" * CORRELATION_BYTES


@given(CORRELATIONS, st.binary(max_size=MAX_ASKED_BYTES))
def test_a_request_is_read_as_it_was_written(correlation: bytes, body: bytes) -> None:
    request = Request(correlation, body)
    assert read_request(request_bytes(request)) == request


@given(CORRELATIONS, st.sampled_from(Outcome), st.binary(max_size=300))
def test_an_answer_is_read_as_it_was_written(correlation: bytes, outcome: Outcome, body: bytes) -> None:
    answer = Answer(correlation, outcome, body if outcome is Outcome.GIVEN else b"")
    assert read_answer(answer_bytes(answer)) == answer


@given(st.binary(max_size=60))
def test_any_bytes_are_a_request_and_an_answer_or_a_value_error(payload: bytes) -> None:
    with suppress(ValueError):
        assert request_bytes(read_request(payload)) == payload
    with suppress(ValueError):
        assert answer_bytes(read_answer(payload)) == payload


@pytest.mark.parametrize("payload", [b"", b"c" * (CORRELATION_BYTES - 1), b"c" * (MAX_REQUEST_BYTES + 1)])
def test_what_is_too_short_or_too_long_is_no_request(payload: bytes) -> None:
    with pytest.raises(ValueError, match="bytes"):
        read_request(payload)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        ONE,
        ONE + b"\3",
        ONE + bytes((Outcome.LATER,)) + b"more",
        ONE + bytes((Outcome.REFUSED,)) + b"more",
        ONE + b"\0" * (MAX_ANSWER_BYTES - CORRELATION_BYTES + 1),
    ],
)
def test_what_is_no_answer_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"bytes|Outcome|says more"):
        read_answer(payload)


def test_the_longest_answer_of_an_operation_fits_a_message_of_half_a_mebibyte_and_its_head() -> None:
    assert trusted_files.MAX_ANSWER_BYTES <= MAX_ANSWERED_BYTES
    assert trusted_files.MAX_REQUEST_BYTES <= MAX_ASKED_BYTES
    assert len(answer_bytes(Answer(ONE, Outcome.GIVEN, bytes(MAX_ANSWERED_BYTES)))) == MAX_ANSWER_BYTES
